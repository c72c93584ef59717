"""What of the observations is evidence, and what is refused."""

import numpy as np
import pytest

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.plausible import plausible, useful_views
from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed


def test_joints_that_a_detector_guessed_are_no_evidence(walk: Rehearsed) -> None:
    confidence = walk.confidence.copy()
    confidence[:, 2, 1:7] = 0.1  # legs outside the picture
    confidence[7, 0, 3] = 0.05
    found = plausible(walk.seen(confidence=confidence)).confidence
    assert not found[:, 2, 1:7].any()
    assert found[7, 0, 3] == 0
    assert (found > 0).sum() == (confidence > 0.2).sum()


def test_joints_outside_the_picture_and_people_that_are_a_point_are_no_evidence(
    walk: Rehearsed,
) -> None:
    pixels = walk.keypoints_px.copy()
    pixels[3, 1, 5] = [-1, 500]
    pixels[4, 1, 5] = [500, walk.image_px[1, 1] + 1]
    pixels[9, 3] = pixels[9, 3, :1]
    found = plausible(walk.seen(keypoints_px=pixels)).confidence
    assert not found[[3, 4], 1, 5].any()
    assert not found[9, 3].any()
    assert (found > 0).sum() == found.size - 2 - found.shape[2]


def test_instants_that_are_not_in_order_are_refused(seen: LiftedObservations) -> None:
    with pytest.raises(Undetermined, match="not in order"):
        plausible(seen.take(np.array([0, 2, 1])))


def test_keypoints_in_shares_of_the_picture_are_refused(walk: Rehearsed) -> None:
    shares = walk.keypoints_px / walk.image_px[:, None]
    with pytest.raises(Undetermined, match="give keypoints in pixels"):
        plausible(walk.seen(keypoints_px=shares))


def test_a_picture_whose_width_and_height_are_exchanged_is_refused(walk: Rehearsed) -> None:
    image = walk.image_px.copy()
    image[2] = image[2, ::-1]
    wide = walk.keypoints_px.copy()
    wide[:, 2] *= walk.image_px[2] / wide[:, 2].max((0, 1))  # they fill the picture
    with pytest.raises(Undetermined, match=r"cam2 are outside its picture .* width first"):
        plausible(walk.seen(keypoints_px=wide, image_px=image))


def test_views_that_saw_the_athlete_with_no_other_are_of_no_use(walk: Rehearsed) -> None:
    confidence = walk.confidence.copy()
    confidence[4:, 3] = 0
    assert useful_views(walk.seen(confidence=confidence)) == [0, 1, 2]
    confidence[:, 1:] = 0
    with pytest.raises(Undetermined, match="no two saw the athlete"):
        useful_views(walk.seen(confidence=confidence))


def test_of_two_pairs_that_never_see_the_athlete_together_one_is_used(walk: Rehearsed) -> None:
    confidence = walk.confidence.copy()
    confidence[20:, :2] = 0
    confidence[:20, 2:] = 0
    assert useful_views(walk.seen(confidence=confidence)) == [2, 3]

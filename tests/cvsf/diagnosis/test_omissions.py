"""Still cameras without the views, or spans of views, that disagree."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.diagnosis.attempt import Attempt, Options, attempt
from cvsf.diagnosis.omissions import (
    hides_a_better_part,
    of_a_part,
    without_a_view,
    without_spans,
    without_the_worst,
)
from cvsf.diagnosis.view_faults import MIRRORED_BACK, SIDES
from cvsf.skeleton import H36M_16
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import another, mirrored, of_motion

OPTIONS = Options()


@pytest.fixture(scope="module")
def healthy(short_walk: Rehearsed) -> Attempt:
    return attempt(short_walk.seen(), OPTIONS)


def test_a_span_with_another_person_is_left_out(short_walk: Rehearsed) -> None:
    pixels = another(short_walk, 2, slice(30, 60))
    spoilt = attempt(short_walk.seen(keypoints_px=pixels), OPTIONS)
    found = without_spans(spoilt, OPTIONS)
    assert found.is_sound
    assert not found.observations.confidence[35:55, 2].any()
    assert found.observations.confidence[:20, 2].any(-1).all()
    assert found.observations.confidence[:, [0, 1, 3]].any(-1).all()


def test_the_view_whose_absence_makes_the_others_fit_is_left_out_with_its_fault(
    short_walk: Rehearsed,
) -> None:
    pixels = short_walk.keypoints_px.copy()
    pixels[:, 1] = pixels[:, 1, list(H36M_16.mirrored)]
    spoilt = attempt(short_walk.seen(keypoints_px=pixels), OPTIONS)
    found = without_a_view(spoilt, OPTIONS)
    assert found.is_sound
    assert found.left_out == {"cam1": SIDES}
    assert found.observations.cameras == ("cam0", "cam2", "cam3")


def test_a_mirrored_view_is_mirrored_back_and_kept(short_walk: Rehearsed) -> None:
    spoilt = attempt(short_walk.seen(keypoints_px=mirrored(short_walk, 1)), OPTIONS)
    found = without_a_view(spoilt, OPTIONS)
    assert found.is_sound
    assert found.left_out == {}
    assert found.corrected == {"cam1": MIRRORED_BACK}
    np.testing.assert_allclose(
        found.observations.keypoints_px[:, 1], short_walk.keypoints_px[:, 1], atol=1e-2
    )


def test_of_three_views_none_is_left_out(short_walk: Rehearsed) -> None:
    three = short_walk.seen(keypoints_px=mirrored(short_walk, 1)).of_views([0, 1, 2])
    spoilt = attempt(three, OPTIONS)
    assert without_a_view(spoilt, OPTIONS) is spoilt
    assert without_the_worst(spoilt, OPTIONS) is spoilt


def test_a_rig_of_two_people_in_two_views_each_is_seen_by_a_part_that_fits_better(
    short_walk: Rehearsed, healthy: Attempt
) -> None:
    assert not hides_a_better_part(healthy, OPTIONS)
    aside = np.array([900.0, 700.0, 0.0])
    other = of_motion(short_walk, short_walk.world_mm[::-1] + aside, seed=5)
    pixels = short_walk.keypoints_px.copy()
    pixels[45:, [1, 3]] = other.keypoints_px[45:, [1, 3]]
    assert hides_a_better_part(attempt(short_walk.seen(keypoints_px=pixels), OPTIONS), OPTIONS)


def test_a_sound_attempt_is_left_as_it_is(healthy: Attempt) -> None:
    assert healthy.is_sound
    assert without_spans(healthy, OPTIONS) is healthy


def test_seconds_in_which_two_of_four_views_each_see_another_person_are_left_out_in_both(
    short_walk: Rehearsed,
) -> None:
    pixels = another(short_walk, 0, slice(40, 70))
    pixels[:, 2] = another(short_walk, 2, slice(40, 70))[:, 2]
    spoilt = attempt(short_walk.seen(keypoints_px=pixels), OPTIONS)
    found = of_a_part(spoilt, OPTIONS)
    assert found.is_sound
    views = np.flatnonzero(found.observations.confidence[45:65].any((0, 2)))
    assert {found.observations.cameras[view] for view in views} <= {"cam1", "cam3"}


def test_what_was_left_out_before_is_still_reported(short_walk: Rehearsed) -> None:
    spoilt = attempt(short_walk.seen(keypoints_px=another(short_walk, 2, slice(30, 60))), OPTIONS)
    earlier = replace(spoilt, left_out={"cam9": "it saw nobody"})
    assert "cam9" in without_spans(earlier, OPTIONS).left_out

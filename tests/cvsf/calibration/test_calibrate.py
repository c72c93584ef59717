"""Cameras found from a walker alone, with and without what goes wrong in a recording."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate, fit_still
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.plausible import plausible
from cvsf.evaluation.metrics import n_mpjpe
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.lens_distortion import distorted
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rotation import angle_between
from cvsf.reconstruction.reconstruct import reconstruct
from tests.support.level_cameras import bent
from tests.support.reconstruction_errors import errors_mm, limit_mm
from tests.support.rehearsed import Rehearsed, rehearsed


@pytest.fixture(scope="module")
def found(seen: LiftedObservations) -> Calibration:
    return calibrate(seen)


def test_still_cameras_are_found_from_the_walker_alone(
    walk: Rehearsed, seen: LiftedObservations, found: Calibration
) -> None:
    rotation, true = found.rig.view_from_world, walk.view_from_world[0]
    relative, wanted = rotation @ rotation[0].T, true @ true[0].T
    assert angle_between(relative, wanted).max() < 3
    assert np.abs(found.rig.focal_px / walk.focal_px[0] - 1).max() < 0.1
    n, p = errors_mm(walk, found, reconstruct(seen, found))
    assert n < 1.1 * limit_mm(walk)
    assert p < 1.1 * limit_mm(walk)


def test_the_first_camera_is_the_origin_and_the_mean_bone_the_unit(found: Calibration) -> None:
    assert np.allclose(found.rig.view_from_world[0], np.eye(3), atol=1e-9)
    assert np.allclose(found.rig.translation[0], 0, atol=1e-9)
    assert found.body.bones.mean() == pytest.approx(1, abs=0.01)
    assert found.scale_source == "unit"


@pytest.mark.parametrize("views", [2, 3])
def test_two_or_three_views_give_a_smaller_error_than_the_lifter(
    walk: Rehearsed, seen: LiftedObservations, views: int
) -> None:
    few = seen.of_views(range(views))
    found = calibrate(few)
    joints = reconstruct(few, found).joints
    own = few.canonical @ np.swapaxes(few.view_from_canonical, -1, -2)
    truth = walk.in_views_mm[:, :views]
    ours = joints[:, None] @ np.swapaxes(found.rig.view_from_world, -1, -2)
    assert n_mpjpe(ours, truth).mean() < 0.9 * n_mpjpe(own, truth).mean()


def test_sixteen_cameras_are_found_with_an_error_near_that_of_triangulation(tmp_path: Path) -> None:
    many = rehearsed(tmp_path, frames=24, views=16)
    seen = many.seen()
    found = calibrate(seen)
    assert errors_mm(many, found, reconstruct(seen, found))[0] < 1.1 * limit_mm(many)


def test_pictures_of_other_sizes_scale_the_focal_lengths_alike(
    walk: Rehearsed, found: Calibration
) -> None:
    zoom = np.array([0.5, 1.0, 2.0, 1.0])
    seen = walk.seen(
        keypoints_px=walk.keypoints_px * zoom[:, None, None], image_px=walk.image_px * zoom[:, None]
    )
    assert calibrate(seen).rig.focal_px == pytest.approx(found.rig.focal_px * zoom, rel=0.02)


def test_a_lifter_that_mirrors_depth_is_detected_and_corrected(
    walk: Rehearsed, seen: LiftedObservations, found: Calibration
) -> None:
    deceived = calibrate(seen.mirrored())
    assert deceived.mirrored
    assert not found.mirrored
    joints = reconstruct(seen.mirrored(), deceived)
    assert errors_mm(walk, deceived, joints)[0] < 1.2 * limit_mm(walk)


def test_joints_hidden_and_views_lost_leave_whole_skeletons(
    walk: Rehearsed, found: Calibration
) -> None:
    random = np.random.default_rng(3)
    confidence = np.where(random.random(walk.confidence.shape) < 0.2, 0, walk.confidence)
    confidence[10:20, 1] = 0
    confidence[15:18] = 0
    confidence[15:18, 2] = walk.confidence[15:18, 2]
    seen = walk.seen(confidence=confidence)
    again = calibrate(seen)
    placed = reconstruct(seen, again)
    assert np.isfinite(placed.joints).all()
    assert (placed.views_seen == (confidence > 0).sum(1)).all()
    alone, together = placed.deviation[15:18].mean(), placed.deviation[25:].mean()
    assert alone > 1.5 * together
    assert errors_mm(walk, again, placed)[0] < 2.5 * limit_mm(walk)


def test_a_camera_that_saw_nobody_is_not_in_the_rig(walk: Rehearsed, found: Calibration) -> None:
    confidence = walk.confidence.copy()
    confidence[3:, 1] = 0
    seen = walk.seen(confidence=confidence)
    again = calibrate(seen)
    assert again.rig.cameras == ("cam0", "cam2", "cam3")
    assert reconstruct(seen, again).residual_share.shape == (len(seen), 3)


def test_a_view_that_shows_another_person_for_a_while_hardly_raises_the_error(
    walk: Rehearsed,
) -> None:
    keypoints = walk.keypoints_px.copy()
    keypoints[10:20, 2] = walk.keypoints_px[30:40, 2, ::-1] + [200, 0]
    seen = walk.seen(keypoints_px=keypoints)
    found = calibrate(seen)
    assert errors_mm(walk, found, reconstruct(seen, found))[0] < 1.3 * limit_mm(walk)


def test_the_still_cameras_of_least_cost_are_those_that_calibrate_finds(
    seen: LiftedObservations, found: Calibration
) -> None:
    again = fit_still(plausible(seen))
    np.testing.assert_array_equal(again.rig.translation, found.rig.translation)


def test_pictures_of_unknown_size_are_refused(walk: Rehearsed) -> None:
    image = walk.image_px.copy()
    image[1] = 0
    with pytest.raises(Undetermined, match="cam1"):
        calibrate(walk.seen(image_px=image))


def test_a_camera_that_always_shows_another_person_is_refused_by_name(walk: Rehearsed) -> None:
    keypoints = walk.keypoints_px.copy()
    keypoints[:, 2] = walk.keypoints_px[::-1, 2, ::-1]
    with pytest.raises(Undetermined, match="cam2"):
        calibrate(walk.seen(keypoints_px=keypoints))


def test_the_delay_of_a_late_camera_is_found_and_corrected(walk: Rehearsed, tmp_path: Path) -> None:
    longer = rehearsed(tmp_path, frames=90)
    late = 0.1
    keypoints = longer.keypoints_px.copy()
    for joint in np.ndindex(keypoints.shape[2:]):
        track = keypoints[(slice(None), 2, *joint)]
        keypoints[(slice(None), 2, *joint)] = np.interp(longer.t_s + late, longer.t_s, track)
    seen = longer.seen(keypoints_px=keypoints)
    found = calibrate(seen, offsets=True)
    delay_s = found.rig.delay_s - np.median(found.rig.delay_s)  # any camera may be the reference
    assert delay_s[2] == pytest.approx(late, abs=0.015)
    assert np.abs(np.delete(delay_s, 2)).max() < 0.015
    assert errors_mm(longer, found, reconstruct(seen, found))[0] < 1.2 * limit_mm(longer)


def test_distortion_is_estimated_only_where_asked(walk: Rehearsed) -> None:
    middle, focal = walk.image_px[:, None] / 2, walk.focal_px[0][:, None, None]
    bends = distorted((walk.keypoints_px - middle) / focal, bent([-0.3] * 4))
    seen = walk.seen(keypoints_px=bends * focal + middle)
    assert not calibrate(seen).rig.distortion.any()
    assert calibrate(seen, lenses=True).rig.distortion.any()


@pytest.mark.parametrize(
    ("rows", "views", "said"),
    [(slice(0, 45), 1, "1 cameras"), (slice(0, 3), 4, "instants"), (slice(0, 0), 4, "instants")],
)
def test_too_few_cameras_or_instants_are_refused_with_their_number(
    seen: LiftedObservations, rows: slice, views: int, said: str
) -> None:
    with pytest.raises(Undetermined, match=said):
        calibrate(seen.take(rows).of_views(range(views)))


def test_one_still_pose_is_less_sure_than_a_walk(walk: Rehearsed, found: Calibration) -> None:
    random = np.random.default_rng(1)
    frozen = np.repeat(walk.keypoints_px[:1], len(walk.keypoints_px), 0)
    seen = walk.seen(keypoints_px=frozen + random.normal(0, 3, frozen.shape))
    sure = calibrate(seen).uncertainty.focal_share
    assert sure.mean() > 3 * found.uncertainty.focal_share.mean()

"""How far a view is from what the others make of it, and which one is at fault."""

from dataclasses import replace

import numpy as np

from cvsf.multiview.calibration import Calibration
from runtime.calibration.reprojection_error import (
    find_moved_view,
    mean_reprojection_error,
    reprojection_errors,
    triangulated,
)
from tests.support.filmed import HZ, Filmed


def test_the_camera_at_fault_is_the_one_without_which_the_others_agree(
    take: Filmed, known: Calibration
) -> None:
    after = take.observations.take(slice(6 * HZ, 6 * HZ + 12))
    before = take.observations.take(slice(5 * HZ, 5 * HZ + 12))
    assert (
        mean_reprojection_error(known.rig, before)
        < 0.02
        < mean_reprojection_error(known.rig, after)
    )
    assert find_moved_view(known.rig, after, range(4), most_others=0.03, least_own=0.04) == 2
    assert find_moved_view(known.rig, after, [0, 1, 2], most_others=0.03, least_own=0.04) == 2
    assert find_moved_view(known.rig, after, [1, 2], most_others=0.03, least_own=0.04) is None, (
        "of two, neither can be find_moved_view"
    )
    assert find_moved_view(known.rig, before, range(4), most_others=0.03, least_own=0.04) is None
    nobody = replace(before, confidence=np.zeros_like(before.confidence))
    assert np.isnan(
        reprojection_errors(known.rig, triangulated(known.rig, nobody, range(4)), nobody)
    ).all()


def test_pixels_that_are_the_joints_projections_have_no_error(
    take: Filmed, known: Calibration
) -> None:
    seen = take.observations.take(slice(0, 5))
    joints = np.nan_to_num(triangulated(known.rig, seen, range(4)))
    exact = replace(seen, keypoints_px=known.rig.project(joints).astype(np.float32))
    assert np.nanmax(reprojection_errors(known.rig, joints, exact)) < 1e-6


def test_an_error_is_a_share_of_the_persons_extent_in_the_picture(
    take: Filmed, known: Calibration
) -> None:
    seen = take.observations.take(slice(0, 1))
    joints = np.nan_to_num(triangulated(known.rig, seen, range(4)))
    pixels = known.rig.project(joints)
    extent = np.linalg.norm(np.ptp(pixels[0, 1], axis=0))
    pixels[0, 1, :, 0] += extent / 4
    flat = pixels.astype(np.float32)
    sure = np.ones_like(seen.confidence)
    off = reprojection_errors(known.rig, joints, replace(seen, keypoints_px=flat, confidence=sure))
    np.testing.assert_allclose(off[0], [0, 0.25, 0, 0], atol=1e-5)
    sure[0, 1, 5:] = 0  # five joints are too few to tell
    off = reprojection_errors(known.rig, joints, replace(seen, keypoints_px=flat, confidence=sure))
    assert np.isnan(off[0]).tolist() == [False, True, False, False]


def test_a_joint_seen_by_fewer_than_two_views_is_not_triangulated(
    take: Filmed, known: Calibration
) -> None:
    seen = take.observations.take(slice(0, 3))
    assert np.isnan(triangulated(known.rig, seen, [2])).all()

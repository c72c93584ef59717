"""One camera found again from joints that the others placed."""

from dataclasses import replace

import numpy as np

from cvsf.multiview.calibration import Calibration
from runtime.calibration.reprojection_error import triangulated
from runtime.calibration.resection import resected
from tests.support.filmed import Filmed


def test_a_camera_that_was_moved_is_found_in_its_new_place(
    take: Filmed, known: Calibration
) -> None:
    seen = take.observations.take(slice(0, 40))
    joints = triangulated(known.rig, seen, [0, 1, 3])
    elsewhere = known.rig.transformed(np.eye(3), np.array([1.5, -0.7, 0.2]), 1.0)
    found = resected(
        elsewhere, 2, joints, seen.keypoints_px[:, 2].astype(float), seen.confidence[:, 2]
    )
    assert found is not None
    np.testing.assert_allclose(found.centres[2], known.rig.centres[2], atol=0.25)


def test_a_view_of_random_keypoints_gives_no_camera(take: Filmed, known: Calibration) -> None:
    seen = take.observations.take(slice(0, 40))
    joints = triangulated(known.rig, seen, [0, 1, 3])
    other = np.random.default_rng(1).uniform(0, 480, seen.keypoints_px[:, 2].shape)
    assert resected(known.rig, 2, joints, other, seen.confidence[:, 2]) is None
    assert resected(known.rig, 2, joints[:1], other[:1], seen.confidence[:1, 2]) is None


def test_a_turned_camera_is_found_where_it_stands_and_its_zoom_is_kept(
    take: Filmed, known: Calibration
) -> None:
    seen = take.observations.take(slice(0, 40))
    joints = triangulated(known.rig, seen, [0, 1, 3])
    c, s = np.cos(0.1), np.sin(0.1)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])  # about the camera's own vertical
    rotation, shift = known.rig.view_from_world.copy(), known.rig.translation.copy()
    rotation[2], shift[2] = turn @ rotation[2], turn @ shift[2]
    turned = replace(known.rig, view_from_world=rotation, translation=shift)
    pixels = seen.keypoints_px[:, 2].astype(float)
    found = resected(turned, 2, joints, pixels, seen.confidence[:, 2])
    assert found is not None
    np.testing.assert_allclose(found.centres[2], turned.centres[2], atol=1e-6)
    back = found.view_from_world[2] @ known.rig.view_from_world[2].T
    assert np.degrees(np.arccos(np.clip((np.trace(back) - 1) / 2, -1, 1))) < 0.5
    assert np.array_equal(found.focal_px, turned.focal_px)
    assert np.array_equal(found.view_from_world[[0, 1, 3]], turned.view_from_world[[0, 1, 3]])

"""Triangulation with known cameras."""

import numpy as np
from scipy.spatial.transform import Rotation

from cvsf.multiview.triangulation import projection_of, triangulate

RANDOM = np.random.default_rng(3)


def scene(views: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (N, J, 3), their pixels (N, V, J, 2) and the cameras (V, 3, 4)."""
    joints = RANDOM.normal(0, 400, (5, 7, 3))
    around = 2 * np.pi / views * np.arange(views)
    turn = Rotation.from_rotvec(np.outer(around, [0, 1, 0])).as_matrix()
    shift = np.tile([0.0, 100.0, 6000.0], (views, 1))
    cameras = projection_of(turn, shift, np.full(views, 1500.0), np.array([960.0, 540.0]))
    local = np.einsum("vrc,njc->nvjr", cameras[..., :3], joints) + cameras[:, None, :, 3]
    return joints, local[..., :2] / local[..., 2:], cameras


def test_exact_pixels_give_exact_joints() -> None:
    joints, pixels, cameras = scene(3)
    found = triangulate(pixels, np.ones(pixels.shape[:-1]), cameras)
    np.testing.assert_allclose(found, joints, atol=1e-3)


def test_an_outlier_of_one_view_in_five_hardly_moves_the_joint() -> None:
    joints, pixels, cameras = scene(5)
    pixels[:, 2, 4] += [150, -80]
    found = triangulate(pixels, np.ones(pixels.shape[:-1]), cameras)
    assert np.linalg.norm(found[:, 4] - joints[:, 4], axis=-1).max() < 30


def test_a_joint_seen_by_one_view_alone_is_not_triangulated() -> None:
    joints, pixels, cameras = scene(3)
    confidence = np.ones(pixels.shape[:-1])
    confidence[:, :2, 1] = 0
    pixels[:, :2, 1] = np.nan
    found = triangulate(pixels, confidence, cameras)
    assert np.isnan(found[:, 1]).all()
    np.testing.assert_allclose(np.delete(found, 1, 1), np.delete(joints, 1, 1), atol=1e-3)

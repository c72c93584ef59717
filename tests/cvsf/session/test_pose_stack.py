"""Recorded poses as arrays over instants."""

import numpy as np
import pytest

from cvsf.messages import MultiviewPose
from cvsf.session.pose_stack import stack_poses
from cvsf.skeleton import COCO_17, H36M_16, JointSet

CAMERAS = ("cam0", "cam1", "cam2")


def pose(t_ns: int, cameras: tuple[str, ...], joints: JointSet, value: float) -> MultiviewPose:
    """Every keypoint at (value, value), every confidence value / 10."""
    shape = (len(cameras), len(joints))
    return MultiviewPose(
        t_ns=t_ns,
        instant=0,
        cameras=cameras,
        image_px=np.full((len(cameras), 2), 100 * value, np.float32),
        keypoints_px=np.full((*shape, 2), value, np.float32),
        confidence=np.full(shape, value / 10, np.float32),
        joint_set=joints.name,
    )


def test_every_camera_keeps_its_column_and_one_that_is_absent_saw_nothing() -> None:
    rows = [pose(10**9, ("cam2", "cam0"), H36M_16, 1), pose(3 * 10**9, ("cam1",), H36M_16, 2)]
    found = stack_poses(rows, H36M_16)
    assert (found.cameras, found.t_s.tolist()) == (CAMERAS, [1.0, 3.0])
    np.testing.assert_array_equal(found.confidence.any(-1), [[1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(found.image_px[..., 0], [[100, 0, 100], [0, 200, 0]])
    assert (found.keypoints_px[1, 1] == 2).all()
    assert found.keypoints_px.shape == (2, 3, len(H36M_16), 2)


def test_poses_of_several_joint_sets_are_put_into_one() -> None:
    rows = [pose(0, ("cam0",), COCO_17, 1), pose(1, ("cam0",), H36M_16, 1)]
    found = stack_poses(rows, H36M_16, CAMERAS)
    head = H36M_16.index("head")
    assert found.confidence[:, 0, head].tolist() == [0, pytest.approx(0.1)]
    np.testing.assert_array_equal(np.delete(found.keypoints_px[:, 0], head, 1), 1)


def test_a_camera_that_is_not_among_those_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="camera is 'cam9', expected one of cam0, cam1, cam2"):
        stack_poses([pose(0, ("cam9",), H36M_16, 1)], H36M_16, CAMERAS)

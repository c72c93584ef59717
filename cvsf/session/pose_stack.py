"""Recorded poses as arrays over instants: one row for each pose, one column for each camera."""

from collections.abc import Sequence

import numpy as np

from cvsf.messages import MultiviewPose
from cvsf.multiview.observations import Observations
from cvsf.skeleton import JointSet


def stack_poses(
    poses: Sequence[MultiviewPose], joint_set: JointSet, cameras: Sequence[str] | None = None
) -> Observations:
    """The poses as arrays, one row for each pose, keypoints in px converted to the joint set, times
    in s.

    `cameras` gives the order of the views; by default all cameras of any pose, sorted. A camera
    that a pose lacks has confidence 0, keypoints 0 and image_px 0 in its row. ValueError for a pose
    with a camera that is not in `cameras`, or of an unknown joint set.
    """
    if cameras is None:
        cameras = sorted({camera for pose in poses for camera in pose.cameras})
    index = {camera: view for view, camera in enumerate(cameras)}
    shape = (len(poses), len(cameras), len(joint_set))
    image = np.zeros((*shape[:2], 2), np.float32)
    keypoints, confidence = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)
    for row, pose in enumerate(poses):
        if unknown := sorted(set(pose.cameras) - set(cameras)):
            raise ValueError(f"camera is {unknown[0]!r}, expected one of {', '.join(cameras)}")
        views, read = [index[camera] for camera in pose.cameras], pose.in_joint_set(joint_set)
        image[row, views] = read.image_px
        keypoints[row, views], confidence[row, views] = read.keypoints_px, read.confidence
    return Observations(
        joint_set=joint_set,
        cameras=tuple(cameras),
        image_px=image,
        t_s=np.array([pose.t_ns for pose in poses]) / 1e9,
        keypoints_px=keypoints,
        confidence=confidence,
    )

"""The people found in the views of an instant -> what the lifter eats: one person, V views.

A view without a picture or without a person has confidence 0, and keeps its place.
"""

from collections.abc import Mapping

import numpy as np

from cvsf.messages import Frame, Instant, MultiviewPose
from cvsf.skeleton import joint_set, remap
from runtime.detection.detector import Detector, Person

JOINED_SET = "h36m-16"
"""The joint set of poses and skeletons, whatever the 2D bundle's own."""


def join(
    instant: Instant,
    cameras: tuple[str, ...],
    people: Mapping[str, Person],
    frames: Mapping[str, Frame],
    detector: Detector,
) -> MultiviewPose:
    """The views in the order of `cameras`, in the joint set of the lifter."""
    target = joint_set(JOINED_SET)
    keypoints = np.zeros((len(cameras), len(target), 2), np.float32)
    confidence = np.zeros((len(cameras), len(target)), np.float32)
    image = np.zeros((len(cameras), 2), np.float32)
    for view, camera in enumerate(cameras):
        if camera in frames:
            image[view] = frames[camera].width_px, frames[camera].height_px
    if seen := [camera for camera in cameras if camera in people]:
        views = [cameras.index(camera) for camera in seen]
        keypoints[views], confidence[views] = remap(
            np.stack([people[camera].keypoints_px for camera in seen]),
            np.stack([people[camera].confidence for camera in seen]),
            detector.joint_set.joints,
            target.joints,
        )
    return MultiviewPose(
        t_ns=instant.t_ns,
        instant=instant.index,
        cameras=cameras,
        image_px=image,
        keypoints_px=keypoints,
        confidence=np.clip(confidence, 0, 1),
        joint_set=JOINED_SET,
        detector=detector.name,
    )

"""From the people detected in the views of an instant to the input of the lifter.

A view without a picture or without a person has confidence 0.
"""

from collections.abc import Mapping

import numpy as np

from cvsf.messages import Frame, Instant, MultiviewPose
from cvsf.skeleton import joint_set
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
    image = np.zeros((len(cameras), 2), np.float32)
    keypoints = np.zeros((len(cameras), len(detector.joint_set), 2), np.float32)
    confidence = np.zeros(keypoints.shape[:2], np.float32)
    for view, camera in enumerate(cameras):
        if camera in frames:
            image[view] = frames[camera].width_px, frames[camera].height_px
        if camera in people:
            keypoints[view] = people[camera].keypoints_px
            confidence[view] = people[camera].confidence
    pose = MultiviewPose(
        t_ns=instant.t_ns,
        instant=instant.index,
        cameras=cameras,
        image_px=image,
        keypoints_px=keypoints,
        confidence=confidence.clip(0, 1),
        joint_set=detector.joint_set.name,
        detector=detector.name,
    )
    return pose.in_joint_set(joint_set(JOINED_SET))

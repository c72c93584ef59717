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
    """The 2D pose of the instant, with a view for each of `cameras` in that order.

    Its joint set is h36m-16, whatever the detector's; keypoints are in px of each picture,
    confidence is clipped to 0 to 1. A camera without a person has confidence 0 and keypoints 0; one
    without a frame also picture size 0.
    """
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

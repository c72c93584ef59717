"""The position of a body in a view from its size in the picture: weak perspective.

The camera is a scaled orthography about the person (Tomasi and Kanade 1992). Bodies are the mean of
the lifter's poses at unit scale: the mean bone is 1.
"""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import WeightedKeypoints
from cvsf.shapes import Bool, Float
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]

_LEAST_JOINTS = 5  # for a view to give a person's size; a guess, not measured


def mean_body(observations: LiftedObservations) -> Float[Real, "N J 3"]:
    """Canonical poses of an instant averaged over its views by each joint's confidence: body frame,
    pelvis at the origin, scaled to mean bone 1. Without any observation the plain mean.
    """
    weight = observations.confidence[..., None].astype(float) + 1e-6
    seen = np.any(observations.confidence > 0, axis=-1)[..., None, None]
    weight = np.where(seen, weight, 1e-9)
    body = (weight * observations.canonical).sum(1) / weight.sum(1)
    return np.asarray(body / mean_bone(body, observations.joint_set)[..., None, None])


def mean_bone(joints: Float[Real, "*batch J 3"], joint_set: JointSet) -> Float[Real, "*batch"]:
    """Mean length of the bones of each pose, in the unit of the joints, at least 1e-9; NaN if a
    joint is.
    """
    parent, child = (list(ends) for ends in zip(*joint_set.bones, strict=True))
    length = np.linalg.norm(joints[..., child, :] - joints[..., parent, :], axis=-1)
    return np.asarray(np.maximum(length.mean(-1), 1e-9))


def roots_in_views(
    keypoints: WeightedKeypoints,
    centre_px: Float[Real, "V 2"],
    body: Float[Real, "N J 3"],
    view_from_world: Float[Real, "*#N V 3 3"],
    focal_px: Float[Real, "*#N V"],
) -> tuple[Float[Real, "N V 3"], Bool[npt.NDArray[np.bool_], "N V"]]:
    """The body's root in each view frame (z forward), in the body's unit, and whether enough
    joints, five, gave its depth.

    The depth comes from the size of the person (weak perspective); it is 1 where too few joints
    were observed. `body` is in the world's axes, its root at the origin.
    """
    local = body[:, None] @ np.swapaxes(view_from_world, -1, -2)
    weight = keypoints.weight[..., None]
    total = np.maximum(weight.sum(2), 1e-9)
    middle = (weight * local).sum(2) / total
    centre = (weight * keypoints.keypoints_px).sum(2) / total
    flat = local[..., :2] - middle[:, :, None, :2]
    spread = keypoints.keypoints_px - centre[:, :, None]
    scale = np.sqrt(
        (weight * np.square(spread)).sum((2, 3))
        / np.maximum((weight * np.square(flat)).sum((2, 3)), 1e-9)
    )
    has_size: npt.NDArray[np.bool_] = (keypoints.weight > 0).sum(-1) >= _LEAST_JOINTS
    depth = np.where(has_size, focal_px / np.maximum(scale, 1e-6), 1.0)
    aside = (centre - centre_px) / focal_px[..., None] * depth[..., None]
    return np.concatenate([aside, depth[..., None]], -1) - middle, has_size

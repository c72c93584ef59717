"""What a body's size in a picture tells: where its root is, by weak perspective.

A view is taken for a scaled orthography about the person (Tomasi and Kanade 1992). Bodies are the
lifter's mean poses at unit scale: the mean bone is 1.
"""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import Pixels
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]

_SIZED = 5  # joints from which on a view tells a person's size; a guess, never measured


def mean_body(observations: LiftedObservations) -> Real:
    """Canonical poses (N, J, 3) averaged over views by confidence, mean bone 1, root at 0."""
    weight = observations.confidence[..., None].astype(float) + 1e-6
    seen = np.any(observations.confidence > 0, axis=-1)[..., None, None]
    weight = np.where(seen, weight, 1e-9)
    body = (weight * observations.canonical).sum(1) / weight.sum(1)
    return np.asarray(body / mean_bone(body, observations.joint_set)[..., None, None])


def mean_bone(joints: Real, joint_set: JointSet) -> Real:
    """Mean length of the bones of poses (..., J, 3)."""
    parent, child = (list(ends) for ends in zip(*joint_set.bones, strict=True))
    length = np.linalg.norm(joints[..., child, :] - joints[..., parent, :], axis=-1)
    return np.asarray(np.maximum(length.mean(-1), 1e-9))


def roots_in_views(
    pixels: Pixels, centre_px: Real, body: Real, view_from_world: Real, focal_px: Real
) -> tuple[Real, npt.NDArray[np.bool_]]:
    """Where each view has the origin of the body (N, J, 3), told from its size, (N, V, 3); and
    whether the view can tell (else it is put at distance 1).
    """
    local = body[:, None] @ np.swapaxes(view_from_world, -1, -2)
    weight = pixels.trust[..., None]
    total = np.maximum(weight.sum(2), 1e-9)
    middle = (weight * local).sum(2) / total
    centre = (weight * pixels.keypoints_px).sum(2) / total
    flat = local[..., :2] - middle[:, :, None, :2]
    spread = pixels.keypoints_px - centre[:, :, None]
    scale = np.sqrt(
        (weight * np.square(spread)).sum((2, 3))
        / np.maximum((weight * np.square(flat)).sum((2, 3)), 1e-9)
    )
    sized: npt.NDArray[np.bool_] = (pixels.trust > 0).sum(-1) >= _SIZED
    depth = np.where(sized, focal_px / np.maximum(scale, 1e-6), 1.0)
    aside = (centre - centre_px) / focal_px[..., None] * depth[..., None]
    return np.concatenate([aside, depth[..., None]], -1) - middle, sized

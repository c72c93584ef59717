"""Robust triangulation with known cameras: the limit that benches compare with.

Linear triangulation (Hartley and Sturm 1997) with IRLS: a view's weight is the square of its
confidence times that of the Cauchy kernel. A joint needs two views.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.floating[Any]]

_ROUNDS = 8
_OUTLIER = 3.0
"""Residual, over the median, of weight 1/2: 2.5 standard deviations of Gaussian noise. A guess, not
measured."""
_LEAST_SHARE = 0.01
"""Least residual of weight 1/2, over the pose's extent in the view; a guess, not measured."""


def projection_of(
    rotation: Float[Real, "*batch 3 3"],
    translation: Float[Real, "*batch 3"],
    focal_px: Float[Real, "*batch"],
    centre_px: Float[Real, "*#batch 2"],
) -> Float[Real, "*batch 3 4"]:
    """Camera matrices K [R | t] (Hartley and Zisserman 2004) from view_from_world, translation
    (world unit; R X + t, not the centre), focal length (px) and principal point (px). Pixels are
    square.
    """
    extrinsics = np.concatenate([rotation, translation[..., None]], -1)
    intrinsics = np.zeros((*np.shape(focal_px), 3, 3))
    intrinsics[..., 0, 0] = intrinsics[..., 1, 1] = focal_px
    intrinsics[..., :2, 2] = centre_px
    intrinsics[..., 2, 2] = 1
    return np.asarray(intrinsics @ extrinsics)


def triangulate(
    keypoints_px: Float[Real, "N V J 2"],
    confidence: Float[Real, "N V J"],
    projection: Float[Real, "*#N V 3 4"],
) -> Float[Real, "N J 3"]:
    """Joints in the world frame and unit of `projection`; NaN where fewer than two views have
    confidence above 0. Keypoints are in px, without lens distortion; where confidence is 0 they may
    be NaN.

    `projection` has no leading axis for cameras that stand still. A joint may come out behind a
    camera; this is not tested.
    """
    projection = np.broadcast_to(projection, (*keypoints_px.shape[:2], 3, 4))[:, :, None]
    seen = confidence > 0
    points = np.where(seen[..., None], keypoints_px, 0.0)
    extent_px = np.maximum(_extent(keypoints_px, seen), 1.0 / _LEAST_SHARE)
    # rows of A (X, 1) = 0, divided by the focal length, on which the weight of a view must not
    # depend
    rows = points[..., None] * projection[..., 2:, :] - projection[..., :2, :]
    rows = rows / np.linalg.norm(projection[..., :2, :3], axis=-1)[..., None]
    weight = np.where(seen, np.square(confidence), 0.0)
    robust = weight
    for _ in range(_ROUNDS):
        joints = _solve(rows, robust)
        share = np.linalg.norm(_project(projection, joints) - points, axis=-1) / extent_px
        outlier = max(_OUTLIER * float(np.median(share[seen])), _LEAST_SHARE) if seen.any() else 1.0
        robust = weight / (1 + np.square(share / outlier))
    joints[seen.sum(1) < 2] = np.nan
    return joints


def _solve(rows: Float[Real, "N V J 2 4"], weight: Float[Real, "N V J"]) -> Float[Real, "N J 3"]:
    """The joints that solve the rows in the least squares."""
    a, b = rows[..., :3], -rows[..., 3]
    normal = np.einsum("nvj,nvjri,nvjrk->njik", weight, a, a)
    right = np.einsum("nvj,nvjri,nvjr->nji", weight, a, b)
    size = np.trace(normal, axis1=-2, axis2=-1)[..., None, None]
    normal = normal + (1e-9 * size + 1e-12) * np.eye(3)
    return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0])


def _project(
    projection: Float[Real, "N V 1 3 4"], joints: Float[Real, "N J 3"]
) -> Float[Real, "N V J 2"]:
    local = np.einsum("nvxrc,njc->nvjr", projection[..., :3], joints) + projection[..., 3]
    return np.asarray(
        local[..., :2] / np.where(np.abs(local[..., 2:]) < 1e-9, 1e-9, local[..., 2:])
    )


def _extent(
    keypoints_px: Float[Real, "N V J 2"], seen: Bool[npt.NDArray[np.bool_], "N V J"]
) -> Float[Real, "N V 1"]:
    """Diagonal of the bounding box of the observed joints."""
    low = np.where(seen[..., None], keypoints_px, np.inf).min(-2)
    high = np.where(seen[..., None], keypoints_px, -np.inf).max(-2)
    return np.asarray(np.where(seen.any(-1), np.linalg.norm(high - low, axis=-1), 0.0)[..., None])

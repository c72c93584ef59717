"""Robust triangulation with known cameras: the limit that every bench is shown beside.

Confidence weighs a view, a residual far above the median doubts it, and two views are the least a
joint needs.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.floating[Any]]

_ROUNDS = 8
_OUTLIER = 3.0
"""A residual this many times the median counts half: 2.5 standard deviations of plain noise."""
_LEAST_SHARE = 0.01  # of the pose's extent in a view: that much is no outlier


def projection_of(rotation: Real, translation: Real, focal_px: Real, centre_px: Real) -> Real:
    """Camera matrices (..., 3, 4) of x = K (R X + t) with square pixels."""
    outside = np.concatenate([rotation, translation[..., None]], -1)
    inside = np.zeros((*np.shape(focal_px), 3, 3))
    inside[..., 0, 0] = inside[..., 1, 1] = focal_px
    inside[..., :2, 2] = centre_px
    inside[..., 2, 2] = 1
    return np.asarray(inside @ outside)


def triangulate(keypoints_px: Real, confidence: Real, projection: Real) -> Real:
    """Joints (N, J, 3) in the world from 2D (N, V, J, 2); NaN where fewer than two views saw it.

    `projection` is (N, V, 3, 4), or (V, 3, 4) for cameras that stand still.
    """
    projection = np.broadcast_to(projection, (*keypoints_px.shape[:2], 3, 4))[:, :, None]
    seen = confidence > 0
    points = np.where(seen[..., None], keypoints_px, 0.0)
    extent_px = np.maximum(_extent(keypoints_px, seen), 1.0 / _LEAST_SHARE)
    # rows of A (X, 1) = 0, at most of unit length, so that a view does not weigh by its focal
    # length
    rows = points[..., None] * projection[..., 2:, :] - projection[..., :2, :]
    rows = rows / np.linalg.norm(projection[..., :2, :3], axis=-1)[..., None]
    weight = np.where(seen, np.square(confidence), 0.0)
    believed = weight
    for _ in range(_ROUNDS):
        joints = _solve(rows, believed)
        share = np.linalg.norm(_project(projection, joints) - points, axis=-1) / extent_px
        outlier = max(_OUTLIER * float(np.median(share[seen])), _LEAST_SHARE) if seen.any() else 1.0
        believed = weight / (1 + np.square(share / outlier))
    joints[seen.sum(1) < 2] = np.nan
    return joints


def _solve(rows: Real, weight: Real) -> Real:
    """Least squares over views (axis 1) of rows (N, V, J, 2, 4)."""
    a, b = rows[..., :3], -rows[..., 3]
    normal = np.einsum("nvj,nvjri,nvjrk->njik", weight, a, a)
    right = np.einsum("nvj,nvjri,nvjr->nji", weight, a, b)
    size = np.trace(normal, axis1=-2, axis2=-1)[..., None, None]
    normal = normal + (1e-9 * size + 1e-12) * np.eye(3)
    return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0])


def _project(projection: Real, joints: Real) -> Real:
    local = np.einsum("nvxrc,njc->nvjr", projection[..., :3], joints) + projection[..., 3]
    return np.asarray(
        local[..., :2] / np.where(np.abs(local[..., 2:]) < 1e-9, 1e-9, local[..., 2:])
    )


def _extent(keypoints_px: Real, seen: npt.NDArray[np.bool_]) -> Real:
    """Diagonal (N, V, 1) of the box around the joints found."""
    low = np.where(seen[..., None], keypoints_px, np.inf).min(-2)
    high = np.where(seen[..., None], keypoints_px, -np.inf).max(-2)
    return np.asarray(np.where(seen.any(-1), np.linalg.norm(high - low, axis=-1), 0.0)[..., None])

"""Resection of one camera from skeletons of the others: its pose only, its focal length is kept.

A knocked camera has usually only rotated about its centre, which few joints determine. A free pose
is used only if it fits clearly better.
"""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import nearest_rotation
from cvsf.shapes import Bool, Float
from cvsf.skeleton import Array

Real = npt.NDArray[np.float64]

# guesses, not measured
_LEAST_POINTS = 48
_LEAST_CONFIDENCE = 0.3
_LEAST_INLIERS = 0.6  # of the joints
_WITHIN_SHARE = 0.05  # of the person's extent in the picture
_TRIES, _ROUNDS = 300, 10
_FREE_PENALTY = 1.4  # factor on the error of a free pose, against a rotation about the centre


def resected(
    rig: Rig,
    view: int,
    joints: Float[Real, "N J 3"],
    keypoints_px: Float[Real, "N J 2"],
    confidence: Float[Array, "N J"],
) -> Rig | None:
    """The rig with a new pose (R and t) of `view` only; its intrinsics are kept.

    `joints` are in the rig's world frame, NaN is unknown; `keypoints_px` are as observed, with
    distortion. First a rotation about the old camera centre is tried, then any pose; the latter is
    taken only if its error in px is clearly smaller. None with fewer than 48 joints of confidence
    above 0.3, or if less than 60 % of them fit. The input rig stays unchanged; OpenCV may raise
    `cv2.error`.
    """
    observed = (confidence > _LEAST_CONFIDENCE) & np.isfinite(joints).all(-1)
    if observed.sum() < _LEAST_POINTS:
        return None
    pixels = np.zeros((len(joints), len(rig.cameras), *keypoints_px.shape[1:]))
    pixels[:, view] = keypoints_px
    points, undistorted = joints[observed], rig.undistorted(pixels)[:, view][observed]
    within_px = _WITHIN_SHARE * _extent_px(keypoints_px, observed)
    candidates = [
        (_error_px(pose, rig, view, points, undistorted) * penalty, i, pose)
        for i, (pose, penalty) in enumerate(
            (
                (_rotated(rig, view, points, undistorted, within_px), 1.0),
                (_anywhere(rig, view, points, undistorted, within_px), _FREE_PENALTY),
            )
        )
        if pose is not None
    ]
    if not candidates:
        return None
    R, t = min(candidates)[2]
    rotation, translation = rig.view_from_world.copy(), rig.translation.copy()
    rotation[view], translation[view] = R, t
    return replace(rig, view_from_world=rotation, translation=translation)


def _rotated(
    rig: Rig,
    view: int,
    points: Float[Real, "M 3"],
    undistorted: Float[Real, "M 2"],
    within_px: float,
) -> tuple[Float[Real, "3 3"], Float[Real, "3"]] | None:
    """R and t of a camera that has rotated about its centre, by robust rotation averaging
    (Hartley et al. 2013).
    """
    centre = rig.centres[view]
    plane = (undistorted - rig.centre_px[view]) / rig.focal_px[view]
    rays_view = np.column_stack([plane, np.ones(len(plane))])
    rays_view = rays_view / np.linalg.norm(rays_view, axis=-1, keepdims=True)
    rays_world = (points - centre) / np.linalg.norm(points - centre, axis=-1, keepdims=True)
    weight = np.ones(len(points))
    R = np.eye(3)
    for _ in range(_ROUNDS):
        R = np.asarray(nearest_rotation((weight[:, None] * rays_view).T @ rays_world), float)
        error_px = rig.focal_px[view] * np.linalg.norm(rays_view - rays_world @ R.T, axis=-1)
        weight = 1 / (1 + np.square(2 * error_px / within_px))
    if (error_px < within_px).mean() < _LEAST_INLIERS:
        return None
    return R, -R @ centre


def _anywhere(
    rig: Rig,
    view: int,
    points: Float[Real, "M 3"],
    undistorted: Float[Real, "M 2"],
    within_px: float,
) -> tuple[Float[Real, "3 3"], Float[Real, "3"]] | None:
    """R and t of a camera with any pose, by PnP with RANSAC."""
    K = np.eye(3)
    K[0, 0] = K[1, 1] = rig.focal_px[view]
    K[:2, 2] = rig.centre_px[view]
    found, rotation_vector, t, inliers = cv2.solvePnPRansac(
        points, undistorted, K, np.zeros(4),
        iterationsCount=_TRIES, flags=cv2.SOLVEPNP_EPNP, reprojectionError=within_px,
    )  # fmt: skip
    if not found or inliers is None or len(inliers) < _LEAST_INLIERS * len(points):
        return None
    index = inliers[:, 0]
    rotation_vector, t = cv2.solvePnPRefineLM(
        points[index], undistorted[index], K, np.zeros(4), rotation_vector, t
    )
    return np.asarray(cv2.Rodrigues(rotation_vector)[0], np.float64), np.ravel(t).astype(np.float64)


def _error_px(
    pose: tuple[Float[Real, "3 3"], Float[Real, "3"]],
    rig: Rig,
    view: int,
    points: Float[Real, "M 3"],
    undistorted: Float[Real, "M 2"],
) -> float:
    """Median reprojection error in px."""
    in_view = points @ pose[0].T + pose[1]
    observed = (
        rig.focal_px[view] * in_view[:, :2] / np.maximum(in_view[:, 2:], 1e-9) + rig.centre_px[view]
    )
    return float(np.median(np.linalg.norm(observed - undistorted, axis=-1)))


def _extent_px(
    keypoints_px: Float[Real, "N J 2"], observed: Bool[npt.NDArray[np.bool_], "N J"]
) -> float:
    """Median diagonal of the box around the person."""
    rows = observed.sum(1) > 1
    low = np.where(observed[..., None], keypoints_px, np.inf).min(1)[rows]
    high = np.where(observed[..., None], keypoints_px, -np.inf).max(1)[rows]
    return float(np.median(np.linalg.norm(high - low, axis=-1))) if rows.any() else 1.0

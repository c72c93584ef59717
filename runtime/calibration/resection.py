"""Resection of one camera from skeletons of the others: its pose only, its focal length is kept.

A camera that was knocked has mostly turned where it stood, which few joints determine. Only where
that does not explain the picture has it been carried away.
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
_AS_GOOD = 1.4  # times the error of a free pose that turning alone may leave


def resected(
    rig: Rig,
    view: int,
    joints: Float[Real, "N J 3"],
    keypoints_px: Float[Real, "N J 2"],
    confidence: Float[Array, "N J"],
) -> Rig | None:
    """The rig with a new pose of that view, from its keypoints of the joints; None if none fits."""
    seen = (confidence > _LEAST_CONFIDENCE) & np.isfinite(joints).all(-1)
    if seen.sum() < _LEAST_POINTS:
        return None
    pixels = np.zeros((len(joints), len(rig.cameras), *keypoints_px.shape[1:]))
    pixels[:, view] = keypoints_px
    points, flat = joints[seen], rig.undistorted(pixels)[:, view][seen]
    within_px = _WITHIN_SHARE * _extent_px(keypoints_px, seen)
    found = [
        (_off_px(pose, rig, view, points, flat) * penalty, i, pose)
        for i, (pose, penalty) in enumerate(
            (
                (_turned(rig, view, points, flat, within_px), 1.0),
                (_carried(rig, view, points, flat, within_px), _AS_GOOD),
            )
        )
        if pose is not None
    ]
    if not found:
        return None
    turn, shift = min(found)[2]
    rotation, translation = rig.view_from_world.copy(), rig.translation.copy()
    rotation[view], translation[view] = turn, shift
    return replace(rig, view_from_world=rotation, translation=translation)


def _turned(
    rig: Rig, view: int, points: Float[Real, "M 3"], flat: Float[Real, "M 2"], within_px: float
) -> tuple[Float[Real, "3 3"], Float[Real, "3"]] | None:
    """R and t of a camera that has only turned; robust rotation averaging."""
    centre = rig.centres[view]
    seen = np.column_stack([(flat - rig.centre_px[view]) / rig.focal_px[view], np.ones(len(flat))])
    seen = seen / np.linalg.norm(seen, axis=-1, keepdims=True)
    there = (points - centre) / np.linalg.norm(points - centre, axis=-1, keepdims=True)
    weight = np.ones(len(points))
    turn = np.eye(3)
    for _ in range(_ROUNDS):
        turn = np.asarray(nearest_rotation((weight[:, None] * seen).T @ there), float)
        off_px = rig.focal_px[view] * np.linalg.norm(seen - there @ turn.T, axis=-1)
        weight = 1 / (1 + np.square(2 * off_px / within_px))
    if (off_px < within_px).mean() < _LEAST_INLIERS:
        return None
    return turn, -turn @ centre


def _carried(
    rig: Rig, view: int, points: Float[Real, "M 3"], flat: Float[Real, "M 2"], within_px: float
) -> tuple[Float[Real, "3 3"], Float[Real, "3"]] | None:
    """R and t of a camera anywhere, by RANSAC."""
    inside = np.eye(3)
    inside[0, 0] = inside[1, 1] = rig.focal_px[view]
    inside[:2, 2] = rig.centre_px[view]
    found, turn, shift, inliers = cv2.solvePnPRansac(
        points, flat, inside, np.zeros(4),
        iterationsCount=_TRIES, flags=cv2.SOLVEPNP_EPNP, reprojectionError=within_px,
    )  # fmt: skip
    if not found or inliers is None or len(inliers) < _LEAST_INLIERS * len(points):
        return None
    index = inliers[:, 0]
    turn, shift = cv2.solvePnPRefineLM(points[index], flat[index], inside, np.zeros(4), turn, shift)
    return np.asarray(cv2.Rodrigues(turn)[0], np.float64), np.ravel(shift).astype(np.float64)


def _off_px(
    pose: tuple[Float[Real, "3 3"], Float[Real, "3"]],
    rig: Rig,
    view: int,
    points: Float[Real, "M 3"],
    flat: Float[Real, "M 2"],
) -> float:
    """Median reprojection error."""
    local = points @ pose[0].T + pose[1]
    seen = rig.focal_px[view] * local[:, :2] / np.maximum(local[:, 2:], 1e-9) + rig.centre_px[view]
    return float(np.median(np.linalg.norm(seen - flat, axis=-1)))


def _extent_px(
    keypoints_px: Float[Real, "N J 2"], seen: Bool[npt.NDArray[np.bool_], "N J"]
) -> float:
    """Median diagonal of the box around the person."""
    rows = seen.sum(1) > 1
    low = np.where(seen[..., None], keypoints_px, np.inf).min(1)[rows]
    high = np.where(seen[..., None], keypoints_px, -np.inf).max(1)[rows]
    return float(np.median(np.linalg.norm(high - low, axis=-1))) if rows.any() else 1.0

"""One camera found anew from skeletons that the others placed: its pose only, its zoom is kept.

A camera that was knocked has mostly turned where it stood, which is told from little; only where
that does not explain the pictures has it been carried away.
"""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import nearest_rotation
from cvsf.skeleton import Array

Real = npt.NDArray[np.float64]

_LEAST_POINTS = 48
_SURE = 0.3
_LEAST_AGREEING = 0.6  # of the joints
_WITHIN_SHARE = 0.05  # of the person's extent in the picture
_TRIES, _ROUNDS = 300, 10
_AS_GOOD = 1.4  # turning alone may leave so much more than moving freely


def resected(
    rig: Rig, view: int, joints: Real, keypoints_px: Real, confidence: Array
) -> Rig | None:
    """The rig with that view where joints (N, J, 3) are seen at (N, J, 2); None if nowhere."""
    seen = (confidence > _SURE) & np.isfinite(joints).all(-1)
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
    rig: Rig, view: int, points: Real, flat: Real, within_px: float
) -> tuple[Real, Real] | None:
    """Where the camera stood before, looking elsewhere."""
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
    if (off_px < within_px).mean() < _LEAST_AGREEING:
        return None
    return turn, -turn @ centre


def _carried(
    rig: Rig, view: int, points: Real, flat: Real, within_px: float
) -> tuple[Real, Real] | None:
    """Anywhere at all, by consensus."""
    inside = np.eye(3)
    inside[0, 0] = inside[1, 1] = rig.focal_px[view]
    inside[:2, 2] = rig.centre_px[view]
    found, turn, shift, agreeing = cv2.solvePnPRansac(
        points, flat, inside, np.zeros(4),
        iterationsCount=_TRIES, flags=cv2.SOLVEPNP_EPNP, reprojectionError=within_px,
    )  # fmt: skip
    if not found or agreeing is None or len(agreeing) < _LEAST_AGREEING * len(points):
        return None
    index = agreeing[:, 0]
    turn, shift = cv2.solvePnPRefineLM(points[index], flat[index], inside, np.zeros(4), turn, shift)
    return np.asarray(cv2.Rodrigues(turn)[0], np.float64), np.ravel(shift).astype(np.float64)


def _off_px(pose: tuple[Real, Real], rig: Rig, view: int, points: Real, flat: Real) -> float:
    """Distance in the picture, in the median."""
    local = points @ pose[0].T + pose[1]
    seen = rig.focal_px[view] * local[:, :2] / np.maximum(local[:, 2:], 1e-9) + rig.centre_px[view]
    return float(np.median(np.linalg.norm(seen - flat, axis=-1)))


def _extent_px(keypoints_px: Real, seen: npt.NDArray[np.bool_]) -> float:
    """Diagonal of the box around the person, in the median."""
    rows = seen.sum(1) > 1
    low = np.where(seen[..., None], keypoints_px, np.inf).min(1)[rows]
    high = np.where(seen[..., None], keypoints_px, -np.inf).max(1)[rows]
    return float(np.median(np.linalg.norm(high - low, axis=-1))) if rows.any() else 1.0

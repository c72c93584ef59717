"""One camera found anew from skeletons that the others placed: its pose only, its zoom is kept.

Found by consensus, so a few wrong joints or a moment with another person change nothing.
"""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from cvsf.rig import Rig
from cvsf.skeleton import Array

Real = npt.NDArray[np.float64]

_LEAST_POINTS = 48
_LEAST_AGREEING = 0.6  # of the joints
_WITHIN_SHARE = 0.05  # of the person's extent in the picture
_TRIES = 300


def resected(
    rig: Rig, view: int, joints: Real, keypoints_px: Real, confidence: Array
) -> Rig | None:
    """The rig with that view where joints (N, J, 3) are seen at (N, J, 2); None if nowhere."""
    seen = (confidence > 0.3) & np.isfinite(joints).all(-1)
    if seen.sum() < _LEAST_POINTS:
        return None
    pixels = np.zeros((len(joints), len(rig.cameras), *keypoints_px.shape[1:]))
    pixels[:, view] = keypoints_px
    points, flat = joints[seen], rig.undistorted(pixels)[:, view][seen]
    inside = np.eye(3)
    inside[0, 0] = inside[1, 1] = rig.focal_px[view]
    inside[:2, 2] = rig.centre_px[view]
    found, turn, shift, agreeing = cv2.solvePnPRansac(
        points, flat, inside, np.zeros(4),
        iterationsCount=_TRIES, flags=cv2.SOLVEPNP_EPNP,
        reprojectionError=float(_WITHIN_SHARE * _extent_px(keypoints_px, seen)),
    )  # fmt: skip
    if not found or agreeing is None or len(agreeing) < _LEAST_AGREEING * len(points):
        return None
    index = agreeing[:, 0]
    turn, shift = cv2.solvePnPRefineLM(points[index], flat[index], inside, np.zeros(4), turn, shift)
    rotation, translation = rig.view_from_world.copy(), rig.translation.copy()
    rotation[view], translation[view] = cv2.Rodrigues(turn)[0], np.ravel(shift)
    return replace(rig, view_from_world=rotation, translation=translation)


def _extent_px(keypoints_px: Real, seen: npt.NDArray[np.bool_]) -> float:
    """Diagonal of the box around the person, in the median."""
    rows = seen.sum(1) > 1
    low = np.where(seen[..., None], keypoints_px, np.inf).min(1)[rows]
    high = np.where(seen[..., None], keypoints_px, -np.inf).max(1)[rows]
    return float(np.median(np.linalg.norm(high - low, axis=-1))) if rows.any() else 1.0

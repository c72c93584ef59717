"""Reprojection error of every view against the joints of the others, and which view has moved.

Errors are shares of the person's extent in that picture, so near and far cameras compare.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import Observations
from cvsf.multiview.rig import Rig
from cvsf.multiview.triangulation import triangulate
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

# guesses, not measured
_LEAST_CONFIDENCE = 0.3  # of a joint that counts
_LEAST_JOINTS = 6


def reprojection_errors(
    rig: Rig, joints: Float[Real, "N J 3"], seen: Observations
) -> Float[Real, "N V"]:
    """Median over the joints; NaN where too few are seen."""
    known = np.asarray(np.isfinite(joints).all(-1))
    counted = (seen.confidence > _LEAST_CONFIDENCE) & known[:, None]
    pixels = rig.project(np.nan_to_num(joints))
    distance = np.linalg.norm(pixels - seen.keypoints_px, axis=-1)
    low = np.where(counted[..., None], seen.keypoints_px, np.inf).min(-2)
    high = np.where(counted[..., None], seen.keypoints_px, -np.inf).max(-2)
    out = np.full(counted.shape[:2], np.nan)
    for n, v in np.argwhere(counted.sum(-1) >= _LEAST_JOINTS):
        extent = np.linalg.norm(high[n, v] - low[n, v])
        out[n, v] = np.median(distance[n, v][counted[n, v]]) / max(extent, 1.0)
    return out


def triangulated(rig: Rig, seen: Observations, views: Sequence[int]) -> Float[Real, "N J 3"]:
    """Joints from only those views; NaN where fewer than two saw them."""
    index = list(views)
    flat = rig.undistorted(seen.keypoints_px)[:, index]
    confidence = seen.confidence[:, index].astype(np.float64)
    return np.asarray(triangulate(flat, confidence, rig.projection[index]), np.float64)


def mean_reprojection_error(rig: Rig, seen: Observations) -> float:
    """Of all views: the median over instants, then the mean over views; infinite if unknown."""
    joints = triangulated(rig, seen, range(len(rig.cameras)))
    off = reprojection_errors(rig, joints, seen)
    known = np.isfinite(off).any(0)
    return float(np.nanmedian(off[:, known], axis=0).mean()) if known.any() else float("inf")


def find_moved_view(
    rig: Rig, seen: Observations, views: Sequence[int], *, agree: float, apart: float
) -> int | None:
    """The one view without which the others' errors are at most `agree`, and its own `apart`."""
    if len(views) < 3:
        return None
    candidates = []
    for view in views:
        others = [v for v in views if v != view]
        off = reprojection_errors(rig, triangulated(rig, seen, others), seen)
        if not (np.isfinite(off[:, others]).any() and np.isfinite(off[:, view]).any()):
            continue
        candidates.append(
            (float(np.nanmean(off[:, others])), float(np.nanmedian(off[:, view])), view)
        )
    if not candidates:
        return None
    rest, own, view = min(candidates)
    return view if rest <= agree and own >= apart else None

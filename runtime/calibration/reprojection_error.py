"""How far a camera's picture is from what the others make of it, and which camera is to blame.

Everything is a share of the person's extent in that picture, so near and far cameras compare.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Rig
from cvsf.multiview.triangulation import triangulate

Real = npt.NDArray[np.float64]

_SURE = 0.3  # confidence of a joint that counts
_LEAST_JOINTS = 6


def misfit(rig: Rig, joints: Real, seen: LiftedObservations) -> Real:
    """Median over the joints of the distance in the picture, (N, V); NaN where too few are seen."""
    known = np.asarray(np.isfinite(joints).all(-1))
    sure = (seen.confidence > _SURE) & known[:, None]
    pixels = rig.project(np.nan_to_num(joints))
    distance = np.linalg.norm(pixels - seen.keypoints_px, axis=-1)
    low = np.where(sure[..., None], seen.keypoints_px, np.inf).min(-2)
    high = np.where(sure[..., None], seen.keypoints_px, -np.inf).max(-2)
    out = np.full(sure.shape[:2], np.nan)
    for n, v in np.argwhere(sure.sum(-1) >= _LEAST_JOINTS):
        extent = np.linalg.norm(high[n, v] - low[n, v])
        out[n, v] = np.median(distance[n, v][sure[n, v]]) / max(extent, 1.0)
    return out


def triangulated(rig: Rig, seen: LiftedObservations, views: Sequence[int]) -> Real:
    """Joints (N, J, 3) as only those views see them; NaN where fewer than two do."""
    index = list(views)
    flat = rig.undistorted(seen.keypoints_px)[:, index]
    confidence = seen.confidence[:, index].astype(np.float64)
    return np.asarray(triangulate(flat, confidence, rig.projection[index]), np.float64)


def fit(rig: Rig, seen: LiftedObservations) -> float:
    """How well all views agree, the median over instants in the mean of the views; or infinite."""
    off = misfit(rig, triangulated(rig, seen, range(len(rig.cameras))), seen)
    known = np.isfinite(off).any(0)
    return float(np.nanmedian(off[:, known], axis=0).mean()) if known.any() else float("inf")


def blamed(
    rig: Rig, seen: LiftedObservations, views: Sequence[int], agree: float, apart: float
) -> int | None:
    """The one view without which the others agree, within `agree`, and which lies `apart`."""
    if len(views) < 3:
        return None
    verdicts = []
    for view in views:
        others = [v for v in views if v != view]
        off = misfit(rig, triangulated(rig, seen, others), seen)
        if not (np.isfinite(off[:, others]).any() and np.isfinite(off[:, view]).any()):
            continue
        verdicts.append(
            (float(np.nanmean(off[:, others])), float(np.nanmedian(off[:, view])), view)
        )
    if not verdicts:
        return None
    rest, own, view = min(verdicts)
    return view if rest <= agree and own >= apart else None

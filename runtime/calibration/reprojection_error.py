"""Reprojection error of every view against the joints of the others, and which view has moved.

Errors are shares of the person's extent in that picture, so near and far cameras are comparable.
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
    rig: Rig, joints: Float[Real, "N J 3"], observations: Observations
) -> Float[Real, "N V"]:
    """Median reprojection error of each view at each instant, as a share of the person's extent.

    A distance, never negative, without unit; the extent is the diagonal of the box around the
    counted keypoints, at least 1 px. `joints` are in the rig's world frame; NaN is unknown. The
    observations must have the rig's views in its order. Joints with a confidence above 0.3 count;
    the result is NaN where fewer than six do.
    """
    known = np.asarray(np.isfinite(joints).all(-1))
    counted = (observations.confidence > _LEAST_CONFIDENCE) & known[:, None]
    pixels = rig.project(np.nan_to_num(joints))
    distance = np.linalg.norm(pixels - observations.keypoints_px, axis=-1)
    low = np.where(counted[..., None], observations.keypoints_px, np.inf).min(-2)
    high = np.where(counted[..., None], observations.keypoints_px, -np.inf).max(-2)
    errors = np.full(counted.shape[:2], np.nan)
    for n, v in np.argwhere(counted.sum(-1) >= _LEAST_JOINTS):
        extent = np.linalg.norm(high[n, v] - low[n, v])
        errors[n, v] = np.median(distance[n, v][counted[n, v]]) / max(extent, 1.0)
    return errors


def triangulated(
    rig: Rig, observations: Observations, views: Sequence[int]
) -> Float[Real, "N J 3"]:
    """Joints in the rig's world frame, triangulated from `views` (indices in the rig).

    The rig must stand still, and the observations must have its views in its order. NaN where fewer
    than two of these views saw the joint.
    """
    index = list(views)
    undistorted = rig.undistorted(observations.keypoints_px)[:, index]
    confidence = observations.confidence[:, index].astype(np.float64)
    return np.asarray(triangulate(undistorted, confidence, rig.projection[index]), np.float64)


def mean_reprojection_error(rig: Rig, observations: Observations) -> float:
    """Reprojection error of all views, as a share of the person's extent (no unit).

    Joints are triangulated from all views of a rig that stands still. It is the median over the
    instants, then the mean over the views that have an error; infinite if none has.
    """
    joints = triangulated(rig, observations, range(len(rig.cameras)))
    errors = reprojection_errors(rig, joints, observations)
    known = np.isfinite(errors).any(0)
    return float(np.nanmedian(errors[:, known], axis=0).mean()) if known.any() else float("inf")


def find_moved_view(
    rig: Rig,
    observations: Observations,
    views: Sequence[int],
    *,
    most_others: float,
    least_own: float,
) -> int | None:
    """The index (in the rig) of the one view that no longer fits the others; else None.

    Each of `views` is left out in turn, and the one without which the others agree best is tested:
    the mean error of the others must be at most `most_others`, and its own median error at least
    `least_own`. Both are shares of the person's extent. None also for fewer than three views or
    without enough joints.
    """
    if len(views) < 3:
        return None
    candidates = []
    for view in views:
        others = [v for v in views if v != view]
        errors = reprojection_errors(rig, triangulated(rig, observations, others), observations)
        if not (np.isfinite(errors[:, others]).any() and np.isfinite(errors[:, view]).any()):
            continue
        candidates.append(
            (float(np.nanmean(errors[:, others])), float(np.nanmedian(errors[:, view])), view)
        )
    if not candidates:
        return None
    others_error, own_error, view = min(candidates)
    return view if others_error <= most_others and own_error >= least_own else None

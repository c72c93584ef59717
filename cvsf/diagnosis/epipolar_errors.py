"""Epipolar errors of pairs of views with known cameras, and the views that agree with each other.

Keypoints of one person at one time satisfy the epipolar constraint in every pair of views; another
person, another time or a mirrored picture violates it (Hartley and Zisserman, Multiple View
Geometry, 2004, chapter 9).
"""

import warnings
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations, windows
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import skew
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# guesses, not measured
_LEAST_CONFIDENCE = 0.3
_LEAST_JOINTS = 4
_BIN_S = 0.2  # errors are medians over so long
_FACTOR, _LEAST_ERROR = 4.0, 0.02
"""An error is large from 4 times that of the best quarter on, at least 2 % of the person's extent.
Healthy generated sessions have 95 % of their single errors below 2.2 times the median."""
_OTHER_PERSON = 1.5
"""Times a large error: what another person causes, in the median over the time. Films of webcams
have 0.8 to 1.4 where the detector is poor, generated sessions of another person 3 to 30."""
_CUT, _CLEARLY = 0.2, 0.6  # errors count at most so much; a clearly smaller one, over the other
_GAP_S, _SHOWN = 0.5, 3
_LEAST_RUN = 2  # bins; a shorter one is left to the robust weights


def epipolar_errors(observations: LiftedObservations, rig: Rig) -> Float[Real, "N V V"]:
    """Median distance of the joints from their epipolar lines, over the person's extent, for each
    pair of views of a still or panning rig at each instant; NaN with fewer than 4 confident joints
    in both. The observations are time aligned; the matrix is symmetric, its diagonal NaN.
    """
    parts = [_errors(observations.take(at), rig.rows(at)) for at in windows(len(observations))]
    return np.concatenate(parts)


def _errors(observations: LiftedObservations, rig: Rig) -> Float[Real, "N V V"]:
    """`epipolar_errors` of the instants of one window."""
    keypoints = weighted_keypoints(observations, 1.0)
    instants, views = observations.confidence.shape[:2]
    px = rig.undistorted(keypoints.keypoints_px)
    focal = np.broadcast_to(rig.focal_px, (instants, views))
    flat = (px - rig.centre_px[:, None]) / focal[..., None, None]
    points = np.concatenate([flat, np.ones((*flat.shape[:-1], 1))], -1)
    scale = focal / keypoints.extent_px
    errors = np.full((instants, views, views), np.nan)
    confident = observations.confidence > _LEAST_CONFIDENCE
    for a in range(views):
        for b in range(a + 1, views):
            both = confident[:, a] & confident[:, b]
            essential = _essential(rig, a, b)
            in_b = points[:, a] @ np.swapaxes(essential, -1, -2)
            in_a = points[:, b] @ essential
            product = np.abs((points[:, b] * in_b).sum(-1))
            distance = sum(
                product / np.maximum(np.linalg.norm(line[..., :2], axis=-1), 1e-12) * size[:, None]
                for line, size in ((in_a, scale[:, a]), (in_b, scale[:, b]))
            )
            median = _median(np.where(both, distance / 2, np.nan), 1)
            median[both.sum(-1) < _LEAST_JOINTS] = np.nan
            errors[:, a, b] = errors[:, b, a] = median
    return errors


def outlier_views(errors: Float[Real, "N V V"], t_s: Float[Real, "N"]) -> Bool[Mask, "N V"]:
    """Which views do not agree with the others for 0.4 s or longer: those outside the largest group
    in which every pair has a small error. Where that is not more than half of the views that saw
    the person, and others agree with each other too, the right person is undetermined: all are
    outliers. So are views that are left beside such a time, if they are not more than half of
    those that saw the person in it.
    """
    binned, index = _binned(errors, t_s)
    known = binned[np.isfinite(binned)]
    if not len(known):
        return np.zeros(errors.shape[:2], bool)
    large = binned > _large_error(known)
    seen = np.asarray(np.isfinite(binned).any(-1))
    outlier = _long_runs(_outside_group(large, np.nan_to_num(binned), seen))
    return np.asarray(_with_minorities(outlier, seen)[index])


def _with_minorities(outlier: Bool[Mask, "B V"], seen: Bool[Mask, "B V"]) -> Bool[Mask, "B V"]:
    """Also views that are left beside a time in which the right person is undetermined, where they
    are no majority of the views of that time, and all views within a bin of them.
    """
    found = outlier.copy()
    for first, end in runs(np.asarray(outlier.any(1))):
        at = slice(first, end)
        kept = (seen[at] & ~outlier[at]).sum(1)
        if (seen[at].any(1) & (kept == 0)).any():
            most = int(seen[at].any(0).sum()) // 2
            for one in np.flatnonzero((kept > 0) & (kept <= most)) + first:
                found[max(one - 1, 0) : one + 2] = True
    return found & (seen | outlier)


def clear_outliers(
    errors: Float[Real, "N V V"], outlier: Bool[Mask, "N V"], t_s: Float[Real, "N"]
) -> Bool[Mask, "N V"]:
    """Of the outlier views (`outlier_views`) those of instants at which at least one has errors as
    large as another person or another place causes; the others may be a poor detector's.
    """
    clear = np.zeros_like(outlier)
    known = errors[np.isfinite(errors)]
    if not len(known):
        return clear
    least = _OTHER_PERSON * _large_error(known)
    of_view = np.where(outlier, _median(errors, 2), np.nan)
    for view in range(outlier.shape[1]):
        for first, end in _joined(runs(outlier[:, view]), t_s):
            large = _median(of_view[first:end, view], 0) > least
            clear[first:end, view] = outlier[first:end, view] & large
    return np.asarray(outlier & clear.any(1, keepdims=True))


def _joined(ends: list[tuple[int, int]], t_s: Float[Real, "N"]) -> list[tuple[int, int]]:
    """Runs that are less than half a second apart as one."""
    joined: list[tuple[int, int]] = []
    for first, end in ends:
        if joined and t_s[first] - t_s[joined[-1][1] - 1] < _GAP_S:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((first, end))
    return joined


def better_instants(
    errors: Float[Real, "N V V"], other: Float[Real, "N V V"], t_s: Float[Real, "N"]
) -> tuple[Bool[Mask, "N"], float]:
    """At which instants the other errors are the smaller ones: clearly so for 0.4 s or longer, also
    between two such times if nothing is clearly larger there. Also the mean of all errors with the
    others at those instants, over the mean without.
    """
    (one, index), (two, _) = _binned(errors, t_s), _binned(other, t_s)
    costs = [np.minimum(np.nan_to_num(each), _CUT).mean((1, 2)) for each in (one, two)]
    decided = [
        _long_runs((a < _CLEARLY * b)[:, None], widen=0)[:, 0] for a, b in (costs, costs[::-1])
    ]
    better = decided[1].copy()
    ends = runs(better)
    for (_, first), (last, _) in pairwise(ends):  # a gap in which nothing speaks for the errors
        better[first:last] |= not decided[0][first:last].any()
    for first, end in ends:
        better[max(first - 1, 0) : end + 1] |= ~decided[0][max(first - 1, 0) : end + 1]
    mixed = np.where(better, costs[1], costs[0])
    return np.asarray(better[index]), float(mixed.mean() / max(float(costs[0].mean()), 1e-12))


def near_edges(mask: Bool[Mask, "N"], t_s: Float[Real, "N"]) -> Bool[Mask, "N"]:
    """Instants within 0.2 s of one at which the mask changes."""
    edges = t_s[1:][np.diff(mask.astype(np.int8)) != 0]
    return np.asarray((np.abs(t_s[:, None] - edges) <= _BIN_S).any(1))


def _binned(
    errors: Float[Real, "N V V"], t_s: Float[Real, "N"]
) -> tuple[Float[Real, "B V V"], npt.NDArray[np.intp]]:
    """Medians over 0.2 s, and the number of each instant's bin."""
    bins = np.floor((t_s - t_s[0]) / max(_BIN_S, _interval_s(t_s))).astype(int)
    numbers, index = np.unique(bins, return_inverse=True)
    return np.stack([_median(errors[bins == number], 0) for number in numbers]), index


def _large_error(known: Float[Real, "M"]) -> float:
    return max(_FACTOR * float(np.quantile(known, 0.25)), _LEAST_ERROR)


def _outside_group(
    large: Bool[Mask, "B V V"], error: Float[Real, "B V V"], seen: Bool[Mask, "B V"]
) -> Bool[Mask, "B V"]:
    """Remove the view with most large errors, then of the largest sum, until no pair has one."""
    kept = seen.copy()
    for _ in range(seen.shape[1]):
        pairs = kept[:, :, None] & kept[:, None]
        bad = (large & pairs).sum(-1)
        if not bad.any():
            break
        worst = (bad + np.tanh((error * pairs).sum(-1)) / 2).argmax(-1)
        rows = np.flatnonzero(bad.any(-1))
        kept[rows, worst[rows]] = False
    removed = seen & ~kept
    others = removed[:, :, None] & removed[:, None] & ~np.eye(seen.shape[1], dtype=bool)
    another = (others & ~large & (error > 0)).any((1, 2))
    undecided = (
        removed.any(-1) & (2 * kept.sum(-1) <= seen.sum(-1)) & (another | (kept.sum(-1) < 2))
    )
    return np.asarray(removed | (seen & undecided[:, None]))


def _long_runs(outlier: Bool[Mask, "B V"], widen: int = 1) -> Bool[Mask, "B V"]:
    """Without runs shorter than two bins; longer ones are widened by one bin, as they begin and end
    within one.
    """
    kept = np.zeros_like(outlier)
    for view in range(outlier.shape[1]):
        for first, end in runs(outlier[:, view]):
            if end - first >= _LEAST_RUN:
                kept[max(first - widen, 0) : end + widen, view] = True
    return kept


def spans(mask: Bool[Mask, "N"], t_s: Float[Real, "N"]) -> str:
    """When a mask is True, in seconds from the first instant: "3.2 to 7.4 s, 9.0 to 9.8 s"; gaps
    below half a second are closed.
    """
    ends = [(t_s[a] - t_s[0], t_s[b - 1] - t_s[0]) for a, b in _joined(runs(mask), t_s)]
    shown = ", ".join(f"{start_s:.1f} to {end_s:.1f} s" for start_s, end_s in ends[:_SHOWN])
    return shown + (f" and {len(ends) - _SHOWN} more spans" if len(ends) > _SHOWN else "")


def runs(mask: Bool[Mask, "N"]) -> list[tuple[int, int]]:
    """First index and end (exclusive) of each run of True, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _essential(rig: Rig, a: int, b: int) -> Float[Real, "*N 3 3"]:
    """E with x_b^T E x_a = 0 for points of views a and b at focal length 1."""
    rotation, translation = rig.view_from_world, rig.translation
    b_from_a = rotation[..., b, :, :] @ np.swapaxes(rotation[..., a, :, :], -1, -2)
    shift = translation[..., b, :] - (b_from_a @ translation[..., a, :, None])[..., 0]
    return np.asarray(skew(shift) @ b_from_a)


def _interval_s(t_s: Float[Real, "N"]) -> float:
    return float(np.median(np.diff(t_s))) if len(t_s) > 1 else 1.0


def _median(values: Real, axis: int) -> Real:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an empty slice is NaN
        return np.asarray(np.nanmedian(values, axis))

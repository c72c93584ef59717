"""Outliers of a detector: left-right swaps, and views that show another person.

Both are detected from the joints that all views together give.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.reprojection import (
    CAUCHY,
    WeightedKeypoints,
    median_reprojection_px,
    reprojection_cost,
)
from cvsf.multiview.rig import Rig
from cvsf.shapes import Bool, Float, Int
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]
Solution = tuple[Float[Real, "N J 3"], Float[Real, "N J"]]
"""Joints, and one standard deviation of each."""
Solve = Callable[
    [WeightedKeypoints, Int[npt.NDArray[np.intp], "N"], Float[Real, "N J 3"]], Solution
]
"""Keypoints of some instants, their rows and a first guess to a solution."""
Cost = Callable[
    [WeightedKeypoints, Int[npt.NDArray[np.intp], "N"], Float[Real, "N J 3"]], Float[Real, "N"]
]
"""Keypoints of some instants, their rows and joints to the cost of each instant, without unit."""

_SWAP_GAIN = 10.0  # by which a left-right swap must lower the cost; a guess, not measured
_REJECTED = 6.0
"""Least median residual of a view that may be rejected, in standard deviations; a guess, not
measured."""
_LEAST_VIEWS = 3  # of an instant of which one can be rejected
_GOOD_COST = 2.0
"""Cost, over the number of joints, up to which an instant of two views needs no other explanation:
its median is 1.2 to 1.7 in healthy generated sessions, with an arm exchanged 5 to 50."""


def correct_side_swaps(
    keypoints: WeightedKeypoints, rig: Rig, joints: Float[Real, "N J 3"], joint_set: JointSet
) -> tuple[WeightedKeypoints, Bool[npt.NDArray[np.bool_], "N"]]:
    """Undo left-right swaps of the detector, for a pair of joints in a view that were both
    observed, where that clearly lowers the cost. Returns new keypoints (px) with weights, and at
    which instants there was one. Joints are in the rig's world.
    """
    other = list(joint_set.mirrored)
    projected = rig.project(joints)
    as_is = _cost(keypoints, projected, keypoints.keypoints_px, keypoints.weight)
    weight = keypoints.weight[..., other]
    swapped = _cost(keypoints, projected, keypoints.keypoints_px[..., other, :], weight)
    # of both joints of a pair together
    gain = (as_is - swapped) + (as_is - swapped)[..., other]
    observed: npt.NDArray[np.bool_] = np.minimum(keypoints.weight, weight) > 0
    swap = observed & (gain > _SWAP_GAIN) & (np.array(other) != np.arange(len(other)))
    corrected = replace(
        keypoints,
        keypoints_px=np.where(
            swap[..., None], keypoints.keypoints_px[..., other, :], keypoints.keypoints_px
        ),
        weight=np.where(swap, weight, keypoints.weight),
    )
    return corrected, np.logical_or.reduce(swap, axis=(1, 2))


def reject_views(
    keypoints: WeightedKeypoints, rig: Rig, solution: Solution, solve: Solve
) -> tuple[WeightedKeypoints, Solution]:
    """Solve instants of three or more views, one of them with a large error, again without each
    view in turn; at most one is rejected at an instant.

    The rejected view is the one without which the cost of all keypoints, its own among them, is
    least; none if the cost is not lower without any. It has weight 0 in the keypoints returned;
    joints and deviations are those without it, in the rig's world and unit. The arguments are not
    changed; if no instant has a large error, they are returned themselves.
    """
    joints, deviation = solution
    error = median_reprojection_px(keypoints, rig, joints) / keypoints.sigma_px
    several = np.isfinite(error).sum(1) >= _LEAST_VIEWS
    rows = np.flatnonzero(several & (np.nan_to_num(error).max(1) > _REJECTED))
    if not len(rows):
        return keypoints, solution
    some, cameras = keypoints.take(rows), rig.rows(rows)
    joints, deviation = joints.copy(), deviation.copy()
    best, best_deviation = joints[rows], deviation[rows]
    least = reprojection_cost(some, cameras, joints[rows])
    rejected = np.full(len(rows), -1)
    for view in range(error.shape[1]):
        weight = some.weight.copy()
        weight[:, view] = 0
        tried, tried_deviation = solve(replace(some, weight=weight), rows, joints[rows])
        cost = reprojection_cost(some, cameras, tried)
        better = (cost < least) & np.isfinite(error[rows, view])
        least = np.where(better, cost, least)
        best = np.where(better[:, None, None], tried, best)
        best_deviation = np.where(better[:, None], tried_deviation, best_deviation)
        rejected = np.where(better, view, rejected)
    joints[rows], deviation[rows] = best, best_deviation
    weight = keypoints.weight.copy()
    weight[rows[rejected >= 0], rejected[rejected >= 0]] = 0
    return replace(keypoints, weight=weight), (joints, deviation)


def exchange_limbs(
    keypoints: WeightedKeypoints,
    start: Float[Real, "N J 3"],
    solution: Solution,
    joint_set: JointSet,
    *,
    solve: Solve,
    cost: Cost,
) -> tuple[WeightedKeypoints, Solution]:
    """Solve instants of two views that fit badly again from `start`, with the left and right arms
    of one view exchanged, its legs, or both, and keep what clearly lowers the cost.

    The joints that two views give fit a wrong arm too, so they do not show it; bone lengths and the
    pose do. The arguments are not changed; if nothing is exchanged, they are returned themselves.
    """
    joints, deviation = solution
    seen: npt.NDArray[np.bool_] = np.logical_or.reduce(keypoints.weight > 0, axis=2)
    rows = np.flatnonzero(seen.sum(1) == _LEAST_VIEWS - 1)
    if not len(rows):  # live, nearly always
        return keypoints, solution
    least = cost(keypoints.take(rows), rows, joints[rows])
    bad = least > _GOOD_COST * len(joint_set)
    rows, least = rows[bad], least[bad]
    views = [int(view) for view in np.flatnonzero(seen[rows].any(0))]
    tries = [_exchanged(keypoints.take(rows), view, joint_set) for view in views]
    if not tries:
        return keypoints, solution
    px = np.concatenate([one.keypoints_px for several in tries for one in several])
    weight = np.concatenate([one.weight for several in tries for one in several])
    again = np.tile(rows, len(px) // len(rows))
    tried = replace(keypoints.take(again), keypoints_px=px, weight=weight)
    found, found_deviation = solve(tried, again, start[again])
    costs = cost(tried, again, found).reshape(-1, len(rows))
    lower = costs.min(0) < least - _SWAP_GAIN
    if not lower.any():
        return keypoints, solution
    best = (costs.argmin(0) * len(rows) + np.arange(len(rows)))[lower]
    old = keypoints.keypoints_px, keypoints.weight, joints, deviation
    new = [array.copy() for array in old]
    for array, other in zip(new, (px, weight, found, found_deviation), strict=True):
        array[rows[lower]] = other[best]
    return replace(keypoints, keypoints_px=new[0], weight=new[1]), (new[2], new[3])


def _exchanged(
    keypoints: WeightedKeypoints, view: int, joint_set: JointSet
) -> list[WeightedKeypoints]:
    """With the left and right arms exchanged in one view, the legs, and both."""
    found = []
    for part in (*joint_set.limbs, sum(joint_set.limbs, ())):
        other = [joint_set.mirrored[joint] for joint in part]
        px, weight = keypoints.keypoints_px.copy(), keypoints.weight.copy()
        px[:, view, part] = keypoints.keypoints_px[:, view, other]
        weight[:, view, part] = keypoints.weight[:, view, other]
        found.append(replace(keypoints, keypoints_px=px, weight=weight))
    return found


def _cost(
    keypoints: WeightedKeypoints,
    projected: Float[Real, "N V J 2"],
    keypoints_px: Float[Real, "N V J 2"],
    weight: Float[Real, "N V J"],
) -> Float[Real, "N V J"]:
    square = np.square((projected - keypoints_px) / keypoints.sigma_px[..., None, None]).sum(-1)
    return np.asarray(weight * CAUCHY * np.log1p(square / CAUCHY))

"""PTZ tracking of a recording: the cameras at every instant, with known centres.

An instant of high cost is solved again from the solutions of its neighbours. The prior of a camera
is the mean of its neighbours in time, with their scatter as its standard deviation.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from cvsf.calibration.normal_equations import Problem, State
from cvsf.calibration.per_instant_adjustment import (
    CONVERGED,
    PANNING,
    CameraPrior,
    Solutions,
    adjust_per_instant,
    deviations_per_instant,
)
from cvsf.multiview.observations import LiftedObservations, windows
from cvsf.multiview.reprojection import WeightedKeypoints, weighted_keypoints
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import nearest_rotation, rotation_vector_between
from cvsf.reconstruction.pose_solver import BodyPrior, body_prior, estimate_roots, solve
from cvsf.shapes import Float, Int

Real = npt.NDArray[np.float64]

# guesses, not measured
_REACH = 15  # instants over which a good solution is propagated
_HIGH_COST, _OUTLIER_COST = 1.25, 2.0  # over the median cost
_SMOOTHINGS = 4
_SMOOTHED = 1e-4  # share of the cost; less than `CONVERGED`, as turning together costs little
_SMOOTH_S = 0.06  # standard deviation of the weight in time
_NEAR_S, _NEAR = 1.0, 32  # time and instants beyond which nothing is a neighbour
_PRIOR_SIGMA = 0.5  # over the scatter about the neighbours
_WEAK_SIGMA = 0.5  # rad, and of the log focal length


def track_instants(
    observations: LiftedObservations,
    rows: Int[npt.NDArray[np.intp], "M"],
    problem: Problem,
    state: State,
) -> tuple[Solutions, Float[Real, "V 4"]]:
    """The solutions of all instants, camera centres fixed; each begins at the nearest of the
    adjusted `rows`, the instants of `state`. World frame and unit are those of `state`.

    Also the standard deviations of each camera's rotation vector (rad) and log focal length, median
    over the instants.
    """
    nearest = np.abs(np.arange(len(observations))[:, None] - rows).argmin(1)
    rig = state.rig.rows(nearest)
    keypoints = weighted_keypoints(observations, problem.keypoints.noise_share)
    body = body_prior(observations, rig.view_from_world, state.lengths)
    start = body.body + estimate_roots(keypoints, rig, body.body)[:, None]
    solutions = Solutions(rig=rig, joints=start, cost=np.zeros(len(start)))
    adjusted = partial(adjust_per_instant, body=body, columns=PANNING, converged=CONVERGED)
    for noise in (0.04, 0.02, keypoints.noise_share):
        coarse = replace(keypoints, noise_share=noise)
        solutions = adjusted(coarse, start=solutions, prior=weak_prior(rig), rounds=8)
    tried = {step: np.full(len(start), np.nan) for step in (1, -1)}
    for _ in range(_REACH):
        before = solutions.cost
        for step, cost in tried.items():
            solutions = _from_neighbours(keypoints, body, solutions, step, cost)
        if (solutions.cost == before).all():
            break
    for _ in range(_SMOOTHINGS):
        prior = neighbour_prior(observations.t_s, solutions, keypoints.weight.sum(-1))
        solutions = adjusted(keypoints, start=solutions, prior=prior, rounds=4, converged=_SMOOTHED)
    return solutions, deviations_per_instant(keypoints, body, solutions, prior)


def _from_neighbours(
    keypoints: WeightedKeypoints,
    body: BodyPrior,
    solutions: Solutions,
    step: int,
    tried: Float[Real, "N"],
) -> Solutions:
    """Instants of high cost solved again from a neighbour's solution; kept where that lowers it.

    `tried` is the cost of the neighbour's solution that was tried last, and is changed: the same
    one is not tried again.
    """
    bad = np.flatnonzero(solutions.cost > _HIGH_COST * np.median(solutions.cost))
    bad = bad[(bad - step >= 0) & (bad - step < len(solutions.cost))]
    bad = bad[solutions.cost[bad - step] < solutions.cost[bad]]
    bad = bad[solutions.cost[bad - step] != tried[bad]]
    if not len(bad):
        return solutions
    tried[bad] = solutions.cost[bad - step]
    some, prior = keypoints.take(bad), replace(body, body=body.body[bad])
    start = solutions.rows(bad - step)
    joints, _ = solve(some, start.rig, prior, start.joints)
    start = replace(start, joints=joints)
    for noise in (3 * keypoints.noise_share, keypoints.noise_share):
        finer = replace(some, noise_share=noise)
        start = adjust_per_instant(
            finer,
            prior,
            start,
            weak_prior(start.rig),
            columns=PANNING,
            rounds=8,
            converged=CONVERGED,
        )
    better = start.cost < solutions.cost[bad]
    return solutions.with_rows(bad[better], start.rows(better))


def neighbour_prior(
    t_s: Float[Real, "N"], solutions: Solutions, weight: Float[Real, "N V"]
) -> CameraPrior:
    """A prior for each camera at each instant: the weighted mean of its rotation (view_from_world)
    and log focal length over the neighbours in time (s), without itself. The weight falls with the
    time between them (sigma 0.06 s); `weight` is of each view, and instants of high cost count
    less. Its sigmas, one for each camera, are half of the scatter about it, estimated from the
    median error.
    """
    rig = solutions.rig
    inlier = 1 / (1 + np.square(solutions.cost / np.median(solutions.cost) / _OUTLIER_COST))
    weight = weight * inlier[:, None]
    focal, rotation = np.empty_like(rig.focal_px), np.empty_like(rig.view_from_world)
    for at in windows(len(t_s)):
        near_s = t_s[at][[0, -1]] + [-_NEAR_S, _NEAR_S]
        first, end = np.searchsorted(t_s, near_s)
        others = slice(max(min(first, at.start - _NEAR), 0), max(end, at.stop + _NEAR))
        focal[at], rotation[at] = _mean_of_neighbours(
            np.arange(len(t_s))[at], np.arange(len(t_s))[others], t_s, rig, weight
        )
    error = np.linalg.norm(rotation_vector_between(rotation, rig.view_from_world), axis=-1)
    rotation_sigma = np.maximum(
        np.median(error, 0) / 1.54, 1e-4
    )  # median of a 3D Gaussian's length
    focal_sigma = np.maximum(np.median(np.abs(focal - rig.log_focal), 0) / 0.67, 1e-4)
    return CameraPrior(
        view_from_world=rotation,
        log_focal=focal,
        rotation_sigma=_PRIOR_SIGMA * rotation_sigma,
        focal_sigma=_PRIOR_SIGMA * focal_sigma,
    )


def _mean_of_neighbours(
    rows: Int[npt.NDArray[np.intp], "M"],
    others: Int[npt.NDArray[np.intp], "K"],
    t_s: Float[Real, "N"],
    rig: Rig,
    weight: Float[Real, "N V"],
) -> tuple[Float[Real, "M V"], Float[Real, "M V 3 3"]]:
    """Log focal lengths and rotations at `rows`, each the mean of other instants near in time."""
    near = np.exp(-0.5 * np.square((t_s[rows, None] - t_s[others]) / _SMOOTH_S))
    near[rows[:, None] == others] = 0.0
    by_view = near[:, :, None] * weight[others] + 1e-12
    total = by_view.sum(1)
    turned = np.einsum("nmv,mvij->nvij", by_view, rig.view_from_world[others])
    rotation = nearest_rotation(turned / total[..., None, None])
    return (by_view * rig.log_focal[others]).sum(1) / total, np.asarray(rotation, float)


def weak_prior(rig: Rig) -> CameraPrior:
    """A prior about the rig's own rotations and log focal lengths, of standard deviations 0.5 rad
    and 0.5 (log). The rotations share memory with the rig.
    """
    return CameraPrior(
        view_from_world=rig.view_from_world,
        log_focal=rig.log_focal,
        rotation_sigma=_WEAK_SIGMA,
        focal_sigma=_WEAK_SIGMA,
    )

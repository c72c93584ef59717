"""Panning cameras followed from instant to instant, with known centres.

An instant of high cost is solved again from its neighbours' solutions, and cameras have a prior
from their neighbours in time, as wide as these scatter.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from cvsf.calibration.normal_equations import Problem, State
from cvsf.calibration.per_instant_adjustment import (
    PANNING,
    CameraPrior,
    Solutions,
    adjust_per_instant,
    deviations_per_instant,
)
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import WeightedKeypoints, weighted_keypoints
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import nearest_rotation, turned_by
from cvsf.reconstruction.pose_solver import BodyPrior, body_prior, estimate_roots, solve
from cvsf.shapes import Float, Int

Real = npt.NDArray[np.float64]

# guesses, not measured
_REACH = 15  # instants that a good solution is handed on
_HIGH_COST, _OUTLIER_COST = 1.25, 2.0  # times the usual cost
_SMOOTHINGS = 4
_SMOOTH_S = 0.06
_PRIOR_SIGMA = 0.5  # over the scatter about the neighbours
_WEAK_SIGMA = 0.5  # rad, and of the log focal length


def follow(
    observations: LiftedObservations,
    rows: Int[npt.NDArray[np.intp], "M"],
    problem: Problem,
    state: State,
) -> tuple[Solutions, Float[Real, "V 4"]]:
    """Every instant from its nearest neighbour among the adjusted `rows`, centres kept.

    Also the standard deviation of each camera's rotation (rad) and log focal length.
    """
    nearest = np.abs(np.arange(len(observations))[:, None] - rows).argmin(1)
    rig = state.rig.rows(nearest)
    keypoints = weighted_keypoints(observations, problem.keypoints.noise_share)
    body = body_prior(observations, rig.view_from_world, state.lengths)
    begun = body.body + estimate_roots(keypoints, rig, body.body)[:, None]
    found = Solutions(rig=rig, joints=begun, cost=np.zeros(len(begun)))
    adjusted = partial(adjust_per_instant, body=body, columns=PANNING)
    for noise in (0.04, 0.02, keypoints.noise_share):
        coarse = replace(keypoints, noise_share=noise)
        found = adjusted(coarse, start=found, prior=weak_prior(rig), rounds=8)
    for _ in range(_REACH):
        before = found.cost
        for step in (1, -1):
            found = _from_neighbours(keypoints, body, found, step)
        if (found.cost == before).all():
            break
    for _ in range(_SMOOTHINGS):
        prior = neighbour_prior(observations.t_s, found, keypoints.weight.sum(-1))
        found = adjusted(keypoints, start=found, prior=prior, rounds=4)
    return found, deviations_per_instant(keypoints, body, found, prior)


def _from_neighbours(
    keypoints: WeightedKeypoints, body: BodyPrior, found: Solutions, step: int
) -> Solutions:
    """Instants of high cost solved again from a neighbour's solution, where that is better."""
    bad = np.flatnonzero(found.cost > _HIGH_COST * np.median(found.cost))
    bad = bad[(bad - step >= 0) & (bad - step < len(found.cost))]
    bad = bad[found.cost[bad - step] < found.cost[bad]]
    if not len(bad):
        return found
    some, theirs = keypoints.take(bad), replace(body, body=body.body[bad])
    start = found.rows(bad - step)
    joints, _ = solve(some, start.rig, theirs, start.joints)
    start = replace(start, joints=joints)
    for noise in (3 * keypoints.noise_share, keypoints.noise_share):
        finer = replace(some, noise_share=noise)
        start = adjust_per_instant(
            finer, theirs, start, weak_prior(start.rig), columns=PANNING, rounds=8
        )
    better = start.cost < found.cost[bad]
    return found.with_rows(bad[better], start.rows(better))


def neighbour_prior(
    t_s: Float[Real, "N"], found: Solutions, weight: Float[Real, "N V"]
) -> CameraPrior:
    """Each camera's weighted mean over its neighbours in time, and the scatter about it."""
    rig = found.rig
    apart = t_s[:, None] - t_s
    near = np.exp(-0.5 * np.square(apart / _SMOOTH_S))
    np.fill_diagonal(near, 0.0)
    inlier = 1 / (1 + np.square(found.cost / np.median(found.cost) / _OUTLIER_COST))
    by_view = near[:, :, None] * (weight * inlier[:, None])[None] + 1e-12
    total = by_view.sum(1)
    focal = (by_view * rig.log_focal[None]).sum(1) / total
    rotation = nearest_rotation(
        np.einsum("nmv,mvij->nvij", by_view, rig.view_from_world) / total[..., None, None]
    )
    off = np.linalg.norm(turned_by(rotation, rig.view_from_world), axis=-1)
    turn_sigma = np.maximum(np.median(off, 0) / 1.54, 1e-4)  # median of a 3D Gaussian's length
    focal_sigma = np.maximum(np.median(np.abs(focal - rig.log_focal), 0) / 0.67, 1e-4)
    return CameraPrior(
        view_from_world=np.asarray(rotation, float),
        log_focal=focal,
        turn_sigma=_PRIOR_SIGMA * turn_sigma,
        focal_sigma=_PRIOR_SIGMA * focal_sigma,
    )


def weak_prior(rig: Rig) -> CameraPrior:
    """Wide, about the cameras as they are."""
    return CameraPrior(
        view_from_world=rig.view_from_world,
        log_focal=rig.log_focal,
        turn_sigma=_WEAK_SIGMA,
        focal_sigma=_WEAK_SIGMA,
    )

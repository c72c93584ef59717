"""Panning cameras followed from instant to instant, their centres known.

A good solution is handed on to a bad neighbour, and cameras are held to turn smoothly, as smoothly
as they are seen to.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from cvsf.calibration.normal_equations import Problem, State
from cvsf.calibration.per_instant_adjustment import PANS, Alone, Wish, adjust_alone, spread_alone
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import Cameras, Pixels, pixels_of, rows_of
from cvsf.multiview.rotation import nearest_rotation, turned_by
from cvsf.reconstruction.pose_solver import Stance, roots, settle, stance_in

Real = npt.NDArray[np.float64]

_REACH = 15  # instants a good solution is handed on
_OFFERED, _BAD = 1.25, 2.0  # times the usual cost
_SMOOTHINGS = 4
_SMOOTH_S = 0.06
_STIFF = 0.5
_FREE_SIGMA = 0.5  # rad, and of the log focal length


def follow(
    observations: LiftedObservations, rows: npt.NDArray[np.intp], problem: Problem, state: State
) -> tuple[Alone, Real]:
    """Every instant from its nearest neighbour among those adjusted, its cameras' centres kept;
    and one sigma (V, 4) of each camera's rotation (rad) and log focal length.
    """
    nearest = np.abs(np.arange(len(observations))[:, None] - rows).argmin(1)
    cameras = replace(
        state.cameras,
        view_from_world=state.cameras.view_from_world[nearest],
        log_focal=state.cameras.log_focal[nearest],
    )
    pixels = pixels_of(observations, problem.pixels.noise)
    stance = stance_in(observations, cameras.view_from_world, state.lengths)
    begun = stance.body + roots(pixels, cameras, stance.body)[:, None]
    found = Alone(cameras=cameras, joints=begun, cost=np.zeros(len(begun)))
    tried = partial(adjust_alone, stance=stance, columns=PANS)
    for noise in (0.04, 0.02, pixels.noise):
        coarse = replace(pixels, noise=noise)
        found = tried(coarse, start=found, wish=free(cameras), rounds=8)
    for _ in range(_REACH):
        before = found.cost
        for step in (1, -1):
            found = _offered(pixels, stance, found, step)
        if (found.cost == before).all():
            break
    for _ in range(_SMOOTHINGS):
        wish = smooth(observations.t_s, found, pixels.trust.sum(-1))
        found = tried(pixels, start=found, wish=wish, rounds=4)
    return found, spread_alone(pixels, stance, found, wish)


def _offered(pixels: Pixels, stance: Stance, found: Alone, step: int) -> Alone:
    """Bad instants begun again from what a neighbour has found, kept where that is better."""
    bad = np.flatnonzero(found.cost > _OFFERED * np.median(found.cost))
    bad = bad[(bad - step >= 0) & (bad - step < len(found.cost))]
    bad = bad[found.cost[bad - step] < found.cost[bad]]
    if not len(bad):
        return found
    donor = bad - step
    some = rows_of(pixels, bad)
    theirs = replace(stance, body=stance.body[bad])
    cameras = replace(
        found.cameras,
        view_from_world=found.cameras.view_from_world[donor],
        log_focal=found.cameras.log_focal[donor],
    )
    joints, _ = settle(some, cameras, theirs, found.joints[donor])
    start = Alone(cameras=cameras, joints=joints, cost=found.cost[bad])
    for noise in (3 * pixels.noise, pixels.noise):
        finer = replace(some, noise=noise)
        start = adjust_alone(finer, theirs, start, free(start.cameras), columns=PANS, rounds=8)
    better = start.cost < found.cost[bad]
    view_from_world, log_focal = (
        found.cameras.view_from_world.copy(),
        found.cameras.log_focal.copy(),
    )
    joints, cost = found.joints.copy(), found.cost.copy()
    at = bad[better]
    view_from_world[at] = start.cameras.view_from_world[better]
    log_focal[at] = start.cameras.log_focal[better]
    joints[at], cost[at] = start.joints[better], start.cost[better]
    cameras = replace(found.cameras, view_from_world=view_from_world, log_focal=log_focal)
    return Alone(cameras=cameras, joints=joints, cost=cost)


def smooth(t_s: Real, found: Alone, trust: Real) -> Wish:
    """Where each camera looks by its own neighbours in time, as sure as these agree."""
    cameras = found.cameras
    apart = t_s[:, None] - t_s
    weight = np.exp(-0.5 * np.square(apart / _SMOOTH_S))
    np.fill_diagonal(weight, 0.0)
    doubt = 1 / (1 + np.square(found.cost / np.median(found.cost) / _BAD))
    by_view = weight[:, :, None] * (trust * doubt[:, None])[None] + 1e-12
    total = by_view.sum(1)
    focal = (by_view * cameras.log_focal[None]).sum(1) / total
    rotation = nearest_rotation(
        np.einsum("nmv,mvij->nvij", by_view, cameras.view_from_world) / total[..., None, None]
    )
    off = np.linalg.norm(turned_by(rotation, cameras.view_from_world), axis=-1)
    turn_sigma = np.maximum(np.median(off, 0) / 1.54, 1e-4)  # median of a 3D Gaussian's length
    focal_sigma = np.maximum(np.median(np.abs(focal - cameras.log_focal), 0) / 0.67, 1e-4)
    return Wish(
        view_from_world=np.asarray(rotation, float),
        log_focal=focal,
        turn_sigma=_STIFF * turn_sigma,
        focal_sigma=_STIFF * focal_sigma,
    )


def free(cameras: Cameras) -> Wish:
    """Hardly any wish at all, about where the cameras look now."""
    return Wish(
        view_from_world=cameras.view_from_world,
        log_focal=cameras.log_focal,
        turn_sigma=_FREE_SIGMA,
        focal_sigma=_FREE_SIGMA,
    )

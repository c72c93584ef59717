"""Cameras whose stamps are late: their keypoints at another time, and how fast they move.

A camera that is late by d shows at its stamp t what happened at t + d.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.normal_equations import Problem, State
from cvsf.multiview.observations import LiftedObservations, in_step
from cvsf.multiview.reprojection import pixels_of
from cvsf.skeleton import Array

Real = npt.NDArray[np.float64]

_SLOPE_S = 0.12
_LEAST_SEEN = 5  # instants a line is laid through


def in_time(
    observations: LiftedObservations, chosen: LiftedObservations, problem: Problem, state: State
) -> Problem:
    """The keypoints at the instants' own time by the delays found so far, and how fast they move.

    The slope over several instants: of two neighbours' difference, half would be jitter.
    """
    delay = state.cameras.delay_s
    reach_s = max(_SLOPE_S, _LEAST_SEEN * float(np.median(np.diff(observations.t_s))) / 2 + 1e-3)
    keypoints, velocity = problem.pixels.keypoints_px.copy(), np.zeros(chosen.keypoints_px.shape)
    for view, late in enumerate(delay):
        seen = observations.confidence[:, view] > 0
        for row, wanted_s in enumerate(chosen.t_s - late):
            near = np.abs(observations.t_s - wanted_s) < reach_s
            weight = seen[near].astype(float)
            if near.sum() < _LEAST_SEEN:
                continue
            place, slope = _line(
                observations.t_s[near] - wanted_s, observations.keypoints_px[near, view], weight
            )
            known = weight.sum(0)[:, None] >= _LEAST_SEEN
            keypoints[row, view] = np.where(known, place + late * slope, keypoints[row, view])
            velocity[row, view] = np.where(known, slope, 0.0)
    pixels = replace(problem.pixels, keypoints_px=keypoints, velocity_px_s=velocity)
    return replace(problem, pixels=pixels)


def unsmoothed(
    observations: LiftedObservations, chosen: LiftedObservations, problem: Problem, state: State
) -> Problem:
    """The keypoints as they were seen, at the instants' own time by the delays found."""
    rows = np.searchsorted(observations.t_s, chosen.t_s)
    seen = in_step(observations, state.cameras.delay_s).take(rows)
    pixels = pixels_of(seen, problem.pixels.noise)
    return replace(problem, pixels=pixels)


def _line(t_s: Real, points: Array, weight: Real) -> tuple[Real, Real]:
    """Value at 0 and slope (J, 2) of lines through points (T, J, 2), weights (T, J)."""
    total = np.maximum(weight.sum(0), 1e-9)[:, None]
    time = (weight * t_s[:, None]).sum(0)[:, None] / total
    middle = (weight[..., None] * points).sum(0) / total
    away = t_s[:, None] - time[:, 0]
    slope = (weight * away)[..., None] * (points - middle)
    spread = np.maximum((weight * np.square(away)).sum(0), 1e-9)[:, None]
    rise = slope.sum(0) / spread
    return middle - time * rise, rise

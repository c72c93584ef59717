"""Time offsets of cameras: the keypoints at the time of the instants, and their velocities.

A camera of delay d shows at its stamp t what happened at t + d.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.normal_equations import Problem, State
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.shapes import Float
from cvsf.skeleton import Array

Real = npt.NDArray[np.float64]

# guesses, not measured
_FIT_S = 0.12  # half of the interval that a line is fitted to
_LEAST_SEEN = 5  # instants that a line is fitted to


def with_velocities(
    observations: LiftedObservations, chosen: LiftedObservations, problem: Problem, state: State
) -> Problem:
    """The problem with keypoints (px) and their velocities (px/s) in the picture, so that
    `delay_corrected` gives them at the time of the instants, at the present time offsets. A joint
    seen in fewer than 5 instants nearby keeps its keypoint, with velocity 0.

    Value and velocity are those of a line fitted to several instants: the difference of two
    neighbours is mostly noise.
    """
    delay = state.rig.delay_s
    reach_s = max(_FIT_S, _LEAST_SEEN * observations.interval_s / 2 + 1e-3)
    keypoints = problem.keypoints.keypoints_px.copy()
    velocity = np.zeros(chosen.keypoints_px.shape)
    for view, view_delay in enumerate(delay):
        seen = observations.confidence[:, view] > 0
        for row, wanted_s in enumerate(chosen.t_s - view_delay):
            near = np.abs(observations.t_s - wanted_s) < reach_s
            weight = seen[near].astype(float)
            if near.sum() < _LEAST_SEEN:
                continue
            value, slope = _fit_lines(
                observations.t_s[near] - wanted_s, observations.keypoints_px[near, view], weight
            )
            known = weight.sum(0)[:, None] >= _LEAST_SEEN
            keypoints[row, view] = np.where(known, value + view_delay * slope, keypoints[row, view])
            velocity[row, view] = np.where(known, slope, 0.0)
    moving = replace(problem.keypoints, keypoints_px=keypoints, velocity_px_s=velocity)
    return replace(problem, keypoints=moving)


def without_velocities(
    observations: LiftedObservations, chosen: LiftedObservations, problem: Problem, state: State
) -> Problem:
    """The problem with the detected keypoints (px), interpolated to the time of the instants by the
    present time offsets, without velocities: offsets are then fixed. `chosen` is a part of
    `observations`.
    """
    rows = np.searchsorted(observations.t_s, chosen.t_s)
    seen = time_aligned(observations, state.rig.delay_s).take(rows)
    return replace(problem, keypoints=weighted_keypoints(seen, problem.keypoints.noise_share))


def _fit_lines(
    t_s: Float[Real, "T"], points: Float[Array, "T J 2"], weight: Float[Real, "T J"]
) -> tuple[Float[Real, "J 2"], Float[Real, "J 2"]]:
    """Value at time 0 and slope of the least-squares lines through weighted points."""
    total = np.maximum(weight.sum(0), 1e-9)[:, None]
    time = (weight * t_s[:, None]).sum(0)[:, None] / total
    middle = (weight[..., None] * points).sum(0) / total
    away = t_s[:, None] - time[:, 0]
    slope = (weight * away)[..., None] * (points - middle)
    spread = np.maximum((weight * np.square(away)).sum(0), 1e-9)[:, None]
    rise = slope.sum(0) / spread
    return middle - time * rise, rise

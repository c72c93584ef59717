"""Whether cameras pan: believed only if they explain the keypoints much better than still ones, and
nothing else does.

Cameras that pan can explain nearly any inconsistency. So the views must show the same poses at the
same times, and the cameras must move, and move smoothly.
"""

import numpy as np
import numpy.typing as npt

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.ptz import LEAST_PANNING, calibrate_panning
from cvsf.diagnosis.attempt import SOUND_NOISE, Attempt
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration
from cvsf.multiview.rotation import angle_between, nearest_rotation
from cvsf.reconstruction.reconstruct import reconstruct
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

# guesses, not measured
_GAIN, _FAR_GAIN = 2.0, 3.0
"""Factors by which panning cameras must have less noise, as they have more unknowns: where still
ones are refused, and where they are not."""
_ALL_MOVE_NOISE, _ALL_MOVE_RATIO = 0.04, 2.3
"""Noise of still cameras, and error of the worst over the others', if all cameras pan: generated
sessions have 0.06 and more, balanced over the views."""
_ALIKE_RATIO = 1.5  # the same where they pan a little
_IN_STEP_S = 0.25  # canonical poses of panning views are off by up to 0.1 s
_BY_DELAYS = 0.93
"""Share of the cost of the poses that delays leave: 0.94 and more in generated panning sessions, of
which the short ones repeat themselves; 0.72 to 0.92 where a camera is 0.4 s late or more."""
_OTHER_POSE = 1.6
"""Canonical cost of a view over the median of all: at most 1.53 in generated panning sessions."""
_MOVES_DEG, _MOVES_ZOOM = 2.0, 0.05  # range of a camera that moves
_WINDOW_S, _MOST_JUMP, _MOST_TURN_DEG = 0.2, 3.0, 40.0
"""Seconds before and after; jump of the root beside its velocity (mean bones), and turn of a camera
(degrees) between them. Exchanged views gave jumps of 6."""


def panning_first(observations: LiftedObservations, still: Attempt) -> Calibration | None:
    """Panning cameras before delays are sought: where still ones fit so badly, and all views alike,
    that all may pan; else None.
    """
    may_pan = _noise(still) > _ALL_MOVE_NOISE and still.worst_ratio < _ALL_MOVE_RATIO
    return attempt_panning(observations, still) if may_pan else None


def panning_next(observations: LiftedObservations, still: Attempt) -> Calibration | None:
    """Panning cameras before views or spans are left out: where still ones with delays are not
    sound, all views alike, and panning ones explain far more; else None.
    """
    may_pan = _noise(still) > SOUND_NOISE and still.worst_ratio < _ALIKE_RATIO
    return attempt_panning(observations, still, _FAR_GAIN) if may_pan else None


def attempt_panning(
    observations: LiftedObservations, still: Attempt, gain: float = _GAIN
) -> Calibration | None:
    """Panning cameras, if they are to be believed rather than still ones; else None. `gain`: the
    factor by which they must have less noise.
    """
    if len(observations.cameras) < LEAST_PANNING or not _show_one_pose(observations):
        return None
    try:
        found = calibrate_panning(observations)
    except (Undetermined, np.linalg.LinAlgError):
        return None
    moves = _moves(found).any() and _is_smooth(found, observations)
    return found if moves and gain * found.noise_share < _noise(still) else None


def _noise(still: Attempt) -> float:
    """Noise of still cameras over the person's extent; infinite without any."""
    return np.inf if still.calibration is None else still.calibration.noise_share


def _show_one_pose(observations: LiftedObservations) -> bool:
    """Whether no view clearly shows another time, another person or a mirrored picture."""
    poses = canonical_delays(observations)
    cost = poses.agreement_in_step
    alike = np.isfinite(cost).all() and cost.max() < _OTHER_POSE * np.median(cost)
    late = (poses.is_clear & (np.abs(poses.delay_s) > _IN_STEP_S)).any()
    return bool(alike and not (late and poses.cost_ratio < _BY_DELAYS))


def _moves(found: Calibration) -> npt.NDArray[np.bool_]:
    """Which cameras turn or zoom."""
    rotation, focal = found.rig.view_from_world, found.rig.log_focal
    middle = len(rotation) // 2
    turned_deg = np.quantile(angle_between(rotation, rotation[middle]), 0.9, axis=0)
    zoomed = np.ptp(np.quantile(focal, [0.05, 0.95], axis=0), axis=0)
    return np.asarray((turned_deg > _MOVES_DEG) | (zoomed > _MOVES_ZOOM))


def _is_smooth(found: Calibration, observations: LiftedObservations) -> bool:
    """Whether neither a camera nor the athlete jumps for good, as they would where views are
    exchanged; one wrong instant is no jump.
    """
    usual_s = max(float(np.median(np.diff(observations.t_s))), 1e-3)
    width = max(3, round(_WINDOW_S / usual_s))
    root = np.nan_to_num(reconstruct(observations, found).joints.mean(1))
    rotation = found.rig.view_from_world
    for at in range(width, len(root) - width):
        before, after = slice(at - width, at), slice(at, at + width)
        velocity = (_slope(root[before]) + _slope(root[after])) / 2
        moved = np.median(root[after], axis=0) - np.median(root[before], axis=0)
        if np.linalg.norm(moved - width * velocity) > _MOST_JUMP:
            return False
        turned = angle_between(
            *(nearest_rotation(rotation[part].mean(0)) for part in (before, after))
        )
        if turned.max() > _MOST_TURN_DEG:
            return False
    return True


def _slope(values: Float[Real, "N 3"]) -> Float[Real, "3"]:
    """Median step from one instant to the next."""
    return np.asarray(np.median(np.diff(values, axis=0), axis=0))

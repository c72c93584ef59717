"""Whether cameras pan: believed only if they explain the keypoints much better than still ones, and
nothing else does.

Cameras that pan can explain nearly any inconsistency. So the views must show the same poses at the
same times, and the cameras must move, and move smoothly.
"""

import numpy as np
import numpy.typing as npt

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.ptz import LEAST_PANNING, calibrate_panning
from cvsf.diagnosis.attempt import Attempt
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration
from cvsf.multiview.rotation import angle_between
from cvsf.reconstruction.reconstruct import reconstruct

Real = npt.NDArray[np.float64]

# guesses, not measured
_GAIN = 2.0
"""Factor by which panning cameras must have less noise, as they have more unknowns."""
_ALL_MOVE_NOISE, _ALL_MOVE_RATIO = 0.04, 2.0
"""Noise of still cameras, and error of the worst over the others', if all cameras pan: generated
sessions have 0.06 and more, balanced over the views."""
_IN_STEP = 2.0  # intervals
_OTHER_POSE = 1.35
"""Canonical cost of a view over the median of all: a mirrored view or another person has 1.3 and
more, panning views have at most 1.24 in generated sessions."""
_MOVES_DEG, _MOVES_ZOOM = 2.0, 0.05  # range of a camera that moves
_STEP_S = 1 / 30  # between the instants compared: as in the sessions measured
_MOST_STEP_DEG_S, _MOST_ACCELERATION = 120.0, 900.0
"""Turn of a camera in a second, and change of the root's velocity in mean bones a second, between
neighbouring instants: at most 63 degrees and 270 in generated sessions at 30 a second; exchanged
views gave 180 and more than 4000."""


def may_all_pan(still: Attempt) -> bool:
    """Whether still cameras fit so badly, and all views alike, that all may pan."""
    return (
        still.calibration is not None
        and len(still.observations.cameras) >= LEAST_PANNING
        and still.calibration.noise_share > _ALL_MOVE_NOISE
        and still.worst_ratio < _ALL_MOVE_RATIO
    )


def attempt_panning(observations: LiftedObservations, still: Attempt) -> Calibration | None:
    """Panning cameras, if they are to be believed rather than still ones; else None."""
    if len(observations.cameras) < LEAST_PANNING or not _show_one_pose(observations):
        return None
    try:
        found = calibrate_panning(observations)
    except (Undetermined, np.linalg.LinAlgError):
        return None
    noise = np.inf if still.calibration is None else still.calibration.noise_share
    moves = _moves(found).any() and _is_smooth(found, observations)
    return found if moves and _GAIN * found.noise_share < noise else None


def _show_one_pose(observations: LiftedObservations) -> bool:
    """Whether no view clearly shows another time, another person or a mirrored picture."""
    poses = canonical_delays(observations)
    interval_s = float(np.median(np.diff(observations.t_s)))
    late = poses.is_clear & (np.abs(poses.delay_s) > _IN_STEP * interval_s)
    return not late.any() and bool(poses.agreement.max() < _OTHER_POSE * np.median(poses.agreement))


def _moves(found: Calibration) -> npt.NDArray[np.bool_]:
    """Which cameras turn or zoom."""
    rotation, focal = found.rig.view_from_world, found.rig.log_focal
    middle = len(rotation) // 2
    turned_deg = np.quantile(angle_between(rotation, rotation[middle]), 0.9, axis=0)
    zoomed = np.ptp(np.quantile(focal, [0.05, 0.95], axis=0), axis=0)
    return np.asarray((turned_deg > _MOVES_DEG) | (zoomed > _MOVES_ZOOM))


def _is_smooth(found: Calibration, observations: LiftedObservations) -> bool:
    """Whether neither a camera nor the athlete jumps, as they would where views are exchanged."""
    usual_s = max(float(np.median(np.diff(observations.t_s))), 1e-3)
    rows = np.arange(0, len(observations), max(1, round(_STEP_S / usual_s)))
    rows = rows[np.append(True, np.diff(observations.t_s[rows]) > usual_s / 2)]
    interval_s = np.diff(observations.t_s[rows])
    rotation = found.rig.view_from_world[rows]
    step_deg = angle_between(rotation[1:], rotation[:-1])
    root = reconstruct(observations, found).joints.mean(1)[rows]
    velocity = np.diff(root, axis=0) / interval_s[:, None]
    acceleration = np.linalg.norm(np.diff(velocity, axis=0), axis=-1) / interval_s[1:]
    turns = (step_deg / interval_s[:, None]).max(initial=0) > _MOST_STEP_DEG_S
    return not turns and not (np.nan_to_num(acceleration) > _MOST_ACCELERATION).any()

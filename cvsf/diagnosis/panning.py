"""Whether cameras pan: accepted only if they explain the keypoints much better than still ones, and
nothing else does.

Cameras that pan can explain nearly any inconsistency. So the views must show the same poses at the
same times, and the cameras must move, and move smoothly.
"""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.ptz import LEAST_PANNING, calibrate_panning
from cvsf.diagnosis.attempt import SOUND_NOISE, Attempt
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rotation import angle_between, nearest_rotation
from cvsf.reconstruction.reconstruct import reconstruct
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

_ALL_MOVE_NOISE, _ALL_MOVE_RATIO = 0.04, 2.3
"""Noise of still cameras, and error of the worst over the others', if all cameras pan: generated
sessions have 0.06 and more, and up to 2.13."""
_BY_DELAYS = 0.93
"""Share of the cost of the poses that remains with delays: generated panning sessions have 0.94 and
more, takes with a camera 0.4 s late or more 0.72 to 0.92."""
_OTHER_POSE = 1.6
"""Canonical cost of a view over the median of all: at most 1.53 in generated panning sessions."""
_WINDOW_S, _MOST_JUMP, _MOST_TURN_DEG = 0.2, 3.0, 40.0
"""Seconds before and after; jump of the root beside its velocity (mean bones), and turn of a camera
(degrees) between them. Exchanged views gave jumps of 6."""
# guesses, not measured
_GAIN, _FAR_GAIN = 2.0, 3.0
"""Factors by which panning cameras must have less noise, as they have more unknowns: where still
ones are refused, and where they are not."""
_ALIKE_RATIO = 1.5  # of the worst view, where cameras pan a little
_IN_STEP_S = 0.25  # canonical poses of panning views are off by up to 0.1 s
_MOVES_DEG, _MOVES_ZOOM = 2.0, 0.05  # range of a camera that moves


class PanningCameras:
    """Panning cameras of a take, computed when they are first asked for."""

    def __init__(self, observations: LiftedObservations) -> None:
        self._observations = observations
        self._refused = ""

    def before_delays(self, still: Attempt) -> Calibration | None:
        """The cameras where still ones fit so badly, and all views alike, that all may pan, and no
        delays need to be sought; else None.
        """
        return self._instead_of(still, _GAIN) if _all_may_pan(still) else None

    def before_omissions(self, still: Attempt) -> Calibration | None:
        """The cameras where still ones with delays are not sound, all views alike, and panning ones
        explain far more, so that no view or span needs to be left out; else None.
        """
        may_pan = _noise(still) > SOUND_NOISE and still.worst_ratio < _ALIKE_RATIO
        return self._instead_of(still, _FAR_GAIN) if may_pan else None

    def at_last(self, still: Attempt) -> Calibration | None:
        """The cameras if they explain much more than the best still ones, which are refused; else
        None.
        """
        return self._instead_of(still, _GAIN)

    def reason(self, still: Attempt) -> str:
        """Why panning cameras are not taken although all may pan and the views show the same poses,
        as a clause; empty if that is not so.
        """
        return f"if they pan: {self._refused}" if _all_may_pan(still) and self._refused else ""

    def _instead_of(self, still: Attempt, gain: float) -> Calibration | None:
        found = self._found
        return found if found and gain * found.noise_share < _noise(still) else None

    @cached_property
    def _found(self) -> Calibration | None:
        """The cameras, if the views show the same poses and the cameras move, and smoothly."""
        observations = self._observations
        if len(observations.cameras) < LEAST_PANNING or not _show_one_pose(observations):
            return None
        try:
            with np.errstate(all="ignore"):  # of cameras that do not pan nothing may be finite
                found = calibrate_panning(observations)
            return found if _moves(found).any() and _is_smooth(found, observations) else None
        except Undetermined as error:
            self._refused = str(error)
        except np.linalg.LinAlgError:
            pass
        return None


def _all_may_pan(still: Attempt) -> bool:
    """Whether still cameras fit badly, and all views alike."""
    return _noise(still) > _ALL_MOVE_NOISE and still.worst_ratio < _ALL_MOVE_RATIO


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
    usual_s = max(observations.interval_s, 1e-3)
    width = max(3, round(_WINDOW_S / usual_s))
    root = reconstruct(observations, found).joints.mean(1)
    rotation = found.rig.view_from_world
    for at in range(width, len(root) - width):
        before, after = slice(at - width, at), slice(at, at + width)
        if not all(np.isfinite(root[part]).all() for part in (before, after)):
            continue  # no view saw the athlete
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

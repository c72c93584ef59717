"""Whether cameras pan: believed only if they explain the keypoints much better than still ones, and
nothing else does.
"""

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.ptz import LEAST_PANNING, calibrate_panning
from cvsf.diagnosis.attempt import Attempt
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration

_GAIN = 1.3
"""Factor by which panning cameras must have less noise, as they have more unknowns."""


def attempt_panning(observations: LiftedObservations, still: Attempt) -> Calibration | None:
    """Panning cameras, if they are to be believed rather than still ones; else None."""
    if len(observations.cameras) < LEAST_PANNING:
        return None
    try:
        found = calibrate_panning(observations)
    except Undetermined:
        return None
    noise = float("inf") if still.calibration is None else still.calibration.noise_share
    return found if _GAIN * found.noise_share < noise else None

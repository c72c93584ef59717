"""Cameras that pan and zoom, live: what they look at now, and whether they are lost.

Their tripods are what the surveyor found; where each looks follows from instant to instant.
"""

import numpy as np

from cvsf.calibration.ptz_tracking import Pursuit
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration, pans, rows_of_rig
from cvsf.reconstruction.reconstruct import Placed, place

_ROUNDS = 5
_LOST = 0.08  # of the person's extent: views that are further off on the whole do not fit
_PATIENCE_S = 2.0


class Pursued:
    """Of one panning calibration."""

    def __init__(self, found: Calibration) -> None:
        if not pans(found.rig):
            raise ValueError("cameras that stand still need no pursuit")
        self._pursuit = Pursuit(found)
        self._fits_s: float | None = None  # the last time the views fitted
        self.now = rows_of_rig(found, -1)

    def place(self, seen: LiftedObservations) -> Placed:
        """The skeleton of this one instant."""
        self.now = self._pursuit.follow(seen)
        placed = place(seen, self.now, rounds=_ROUNDS)
        t_s = float(seen.t_s[0])
        looked = seen.confidence[0].any(-1)
        off = np.nan_to_num(placed.residual_share[0], nan=np.inf)[looked]  # left out: a stranger
        if self._fits_s is None or len(off) < 2 or np.median(off) < _LOST:
            self._fits_s = t_s
        return placed

    def lost(self, t_s: float) -> bool:
        """Whether the views have not fitted for so long that the tripods must have moved."""
        return self._fits_s is not None and t_s - self._fits_s > _PATIENCE_S

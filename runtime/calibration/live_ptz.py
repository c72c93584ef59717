"""Cameras that pan and zoom, live: their pose at every instant, and whether they are lost.

The centres are those of the calibration; rotations and zooms are tracked from instant to instant.
"""

import numpy as np

from cvsf.calibration.ptz_tracking import PtzTracker
from cvsf.multiview.rig import Calibration
from cvsf.reconstruction.reconstruct import Reconstruction, reconstruct
from runtime.calibration.observation_codec import LiftedPose, stack

_ROUNDS = 5
# guesses, not measured
_LOST = 0.08  # median reprojection error over the person's extent, from which views do not fit
_PATIENCE_S = 2.0


class LivePtz:
    """Of one panning calibration."""

    def __init__(self, found: Calibration) -> None:
        if not found.rig.is_panning:
            raise ValueError("cameras that stand still need no tracking")
        self._tracker = PtzTracker(found)
        self._fits_s: float | None = None  # the last time the views fitted
        self.now = found.rows(-1)

    def reconstruct(self, seen: LiftedPose) -> Reconstruction:
        """The skeleton of this one instant; the views are in the rig's order."""
        observations = stack([seen], seen.pose.cameras)
        self.now = self._tracker.track(observations)
        found = reconstruct(observations, self.now, rounds=_ROUNDS)
        looked = seen.pose.confidence.any(-1)
        off = np.nan_to_num(found.residual_share[0], nan=np.inf)[looked]  # NaN: view rejected
        if self._fits_s is None or len(off) < 2 or np.median(off) < _LOST:
            self._fits_s = seen.t_s
        return found

    def lost(self, t_s: float) -> bool:
        """Whether the views have not fitted for so long that the tripods must have moved."""
        return self._fits_s is not None and t_s - self._fits_s > _PATIENCE_S

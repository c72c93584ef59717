"""Live PTZ tracking: rotation and focal length of panning cameras at every instant.

The centres are those of the calibration.
"""

import numpy as np

from cvsf.calibration.ptz_tracking import PtzTracker
from cvsf.multiview.calibration import Calibration
from cvsf.reconstruction.reconstruct import Reconstruction, reconstruct
from runtime.calibration.observation_codec import LiftedPose, stack

_ROUNDS = 5
# guesses, not measured
_LOST = 0.08  # median reprojection error as a share of the extent, from which views do not fit
_PATIENCE_S = 2.0


class LivePtz:
    """The tracking of one calibration of panning cameras; ValueError if its rig does not pan."""

    def __init__(self, calibration: Calibration) -> None:
        if not calibration.rig.is_panning:
            raise ValueError("the rig does not pan, expected a panning one")
        self._tracker = PtzTracker(calibration)
        self._fits_s: float | None = None  # the last time the views fitted
        self.now = calibration.rows(-1)

    def reconstruct(self, instant: LiftedPose) -> Reconstruction:
        """The reconstruction of one instant (N is 1) in the world frame, in m.

        First the rotations and focal lengths of the cameras are tracked to this instant and stored
        in `now`. The views of `instant` must be those of the rig, in its order.
        """
        observations = stack([instant], instant.pose.cameras)
        self.now = self._tracker.track(observations)
        reconstruction = reconstruct(observations, self.now, rounds=_ROUNDS)
        has_person = instant.pose.confidence.any(-1)
        error = np.nan_to_num(reconstruction.residual_share[0], nan=np.inf)[
            has_person
        ]  # NaN: view rejected
        if self._fits_s is None or len(error) < 2 or np.median(error) < _LOST:
            self._fits_s = instant.t_s
        return reconstruction

    def lost(self, t_s: float) -> bool:
        """Whether the views have not fitted for more than 2 s before `t_s` (s, hub clock).

        Then the tripods must have moved. An instant with fewer than two views counts as one that
        fits. False before the first instant.
        """
        return self._fits_s is not None and t_s - self._fits_s > _PATIENCE_S

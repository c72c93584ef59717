"""PTZ tracking, live: the cameras at a new instant from those at the last one, with known centres.

The prior of a camera is its last pose; its standard deviation grows with the time since the camera
last observed the person. Without such an observation the camera does not change.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.per_instant_adjustment import (
    PANNING,
    CameraPrior,
    Solutions,
    adjust_per_instant,
)
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.rig import Rig
from cvsf.reconstruction.pose_solver import estimate_roots, solve
from cvsf.reconstruction.reconstruct import calibrated_body_prior

Real = npt.NDArray[np.float64]

# guesses, not measured
_TURN_RATE, _ZOOM_RATE = 0.35, 0.25
"""Standard deviation of a camera's rotation (rad) and log focal length after a second."""
_LEAST_S, _MOST_S = 0.02, 1.5  # bounds of the time since the last observation
_NOISES = (3.0, 1.0)  # over that of the calibration, first and last
_ROUNDS = 4
_SEEN_SHARE = 0.3  # of the joints: a view that observed fewer is not used


class PtzTracker:
    """The cameras of a panning rig at each new instant."""

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._rig = calibration.rig.rows(slice(-1, None))
        self._t_s = np.full(len(calibration.rig.cameras), -np.inf)

    def track(self, observations: LiftedObservations) -> Calibration:
        """PTZ tracking: the calibration, as still cameras, at the one instant of the observations.
        Their views are in the rig's order; calls are in order of time. World, unit and camera
        centres stay those of the calibration; only rotations and focal lengths change.

        If fewer than two views saw the person, it is the last one, at first that of the rig's last
        instant. ValueError for more instants.
        """
        t_s = observations.t_s.item()
        if self._calibration.mirrored:
            observations = observations.mirrored()
        seen = ((observations.confidence > 0).mean(-1) > _SEEN_SHARE)[0]
        if seen.sum() > 1:
            self._rig = self._tracked(observations, t_s)
            self._t_s = np.where(seen, t_s, self._t_s)
        return replace(self._calibration, rig=self._rig.rows(0))

    def _tracked(self, observations: LiftedObservations, t_s: float) -> Rig:
        elapsed_s = np.clip(t_s - self._t_s, _LEAST_S, _MOST_S)[None]
        prior = CameraPrior(
            view_from_world=self._rig.view_from_world,
            log_focal=self._rig.log_focal,
            rotation_sigma=_TURN_RATE * elapsed_s,
            focal_sigma=_ZOOM_RATE * elapsed_s,
        )
        body = calibrated_body_prior(observations, replace(self._calibration, rig=self._rig))
        keypoints = weighted_keypoints(observations, self._calibration.noise_share)
        noises = [factor * keypoints.noise_share for factor in _NOISES]
        start = body.body + estimate_roots(keypoints, self._rig, body.body)[:, None]
        coarse = replace(keypoints, noise_share=noises[0])
        joints, _ = solve(coarse, self._rig, body, start, rounds=5)
        state = Solutions(rig=self._rig, joints=joints, cost=np.zeros(1))
        for noise in noises:
            at_noise = replace(keypoints, noise_share=noise)
            state = adjust_per_instant(
                at_noise, body, state, prior, columns=PANNING, rounds=_ROUNDS
            )
        return state.rig

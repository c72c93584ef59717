"""Panning cameras tracked live: from the last instant to this one, with known centres.

A camera's prior is its last pose, wider the longer ago it saw the person; a camera that does not
see the person stays as it was.
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
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.rig import Calibration, Rig
from cvsf.reconstruction.pose_solver import estimate_roots, solve
from cvsf.reconstruction.reconstruct import calibrated_body_prior

Real = npt.NDArray[np.float64]

# guesses, not measured
_TURN_RATE, _ZOOM_RATE = 0.35, 0.25
"""Standard deviation of a camera's turn (rad) and zoom (of the log focal length) in a second."""
_LEAST_S, _LOST_S = 0.02, 1.5
_NOISES = (3.0, 1.0)  # of the calibration's own, first and last
_ROUNDS = 4
_SEEN_SHARE = 0.3  # of the joints: a view that shows less does not count


class PtzTracker:
    """The cameras of a panning rig, at every new instant."""

    def __init__(self, found: Calibration) -> None:
        self._found = found
        self._rig = found.rig.rows(slice(-1, None))
        self._t_s = np.full(len(found.rig.cameras), -np.inf)

    def track(self, seen: LiftedObservations) -> Calibration:
        """The rig at the one instant of `seen`, whose cameras are in the rig's order."""
        t_s = seen.t_s.item()
        seen = seen.mirrored() if self._found.mirrored else seen
        shows = ((seen.confidence > 0).mean(-1) > _SEEN_SHARE)[0]
        if shows.sum() > 1:
            self._rig = self._tracked(seen, t_s)
            self._t_s = np.where(shows, t_s, self._t_s)
        return replace(self._found, rig=self._rig.rows(0))

    def _tracked(self, seen: LiftedObservations, t_s: float) -> Rig:
        passed_s = np.clip(t_s - self._t_s, _LEAST_S, _LOST_S)[None]
        prior = CameraPrior(
            view_from_world=self._rig.view_from_world,
            log_focal=self._rig.log_focal,
            turn_sigma=_TURN_RATE * passed_s,
            focal_sigma=_ZOOM_RATE * passed_s,
        )
        body = calibrated_body_prior(seen, replace(self._found, rig=self._rig))
        keypoints = weighted_keypoints(seen, self._found.noise_share)
        noises = [factor * keypoints.noise_share for factor in _NOISES]
        start = body.body + estimate_roots(keypoints, self._rig, body.body)[:, None]
        coarse = replace(keypoints, noise_share=noises[0])
        joints, _ = solve(coarse, self._rig, body, start, rounds=5)
        state = Solutions(rig=self._rig, joints=joints, cost=np.zeros(1))
        for noise in noises:
            now = replace(keypoints, noise_share=noise)
            state = adjust_per_instant(now, body, state, prior, columns=PANNING, rounds=_ROUNDS)
        return state.rig

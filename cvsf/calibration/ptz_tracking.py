"""Panning cameras pursued live: from the last instant to this one, their tripods known.

What a camera looks at now is near what it looked at just now; a camera that sees nobody stays.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.per_instant_adjustment import PANS, Alone, Wish, adjust_alone
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import Cameras, pixels_of
from cvsf.multiview.rig import Calibration, Rig
from cvsf.reconstruction.pose_solver import roots, settle
from cvsf.reconstruction.reconstruct import cameras_of, stance_of

Real = npt.NDArray[np.float64]

_TURN_RATE, _ZOOM_RATE = 0.35, 0.25
"""What a camera may turn (rad) and zoom (of the log focal length) in a second, one sigma."""
_LEAST_S, _LOST_S = 0.02, 1.5
_NOISES = (3.0, 1.0)  # of the calibration's own, first and last
_ROUNDS = 4
_SEEN_SHARE = 0.3  # of the joints: a view that shows less says nothing of its camera


class Pursuit:
    """The cameras of a panning rig, at every new instant."""

    def __init__(self, found: Calibration) -> None:
        self._found = found
        cameras = cameras_of(found.rig)
        self._now = replace(
            cameras,
            view_from_world=cameras.view_from_world[-1:],
            log_focal=cameras.log_focal[-1:],
        )
        self._t_s = np.full(len(found.rig.cameras), -np.inf)

    def follow(self, seen: LiftedObservations) -> Calibration:
        """The rig as it stands at the one instant of `seen`, cameras in the rig's order; a camera
        that sees nobody stays as it was.
        """
        t_s = float(seen.t_s[-1])
        seen = seen.mirrored() if self._found.mirrored else seen
        shows = (seen.confidence[0] > 0).mean(-1) > _SEEN_SHARE
        if shows.sum() > 1:
            self._now = self._stepped(seen, t_s)
            self._t_s = np.where(shows, t_s, self._t_s)
        return replace(self._found, rig=self._rig())

    def _stepped(self, seen: LiftedObservations, t_s: float) -> Cameras:
        passed_s = np.clip(t_s - self._t_s, _LEAST_S, _LOST_S)[None]
        wish = Wish(
            view_from_world=self._now.view_from_world,
            log_focal=self._now.log_focal,
            turn_sigma=_TURN_RATE * passed_s,
            focal_sigma=_ZOOM_RATE * passed_s,
        )
        stance = stance_of(seen, replace(self._found, rig=self._rig()))
        pixels = pixels_of(seen, self._found.noise_share)
        start = stance.body + roots(pixels, self._now, stance.body)[:, None]
        coarse = replace(pixels, noise=_NOISES[0] * pixels.noise)
        joints, _ = settle(coarse, self._now, stance, start, rounds=5)
        state = Alone(cameras=self._now, joints=joints, cost=np.zeros(1))
        for factor in _NOISES:
            now = replace(pixels, noise=factor * pixels.noise)
            state = adjust_alone(now, stance, state, wish, columns=PANS, rounds=_ROUNDS)
        return state.cameras

    def _rig(self) -> Rig:
        rotation = self._now.view_from_world[0]
        return replace(
            self._found.rig,
            view_from_world=rotation,
            translation=-np.einsum("vij,vj->vi", rotation, self._now.centres),
            focal_px=np.exp(self._now.log_focal[0]),
        )

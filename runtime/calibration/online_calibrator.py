"""The online calibrator: it calibrates the cameras, improves the calibration, and recovers moved
cameras.

A new calibration replaces the present one only if it fits all observations better; the world frame
stays.
"""

import logging
import math
from dataclasses import replace

import cv2
import numpy as np

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.ptz import LEAST_PANNING
from cvsf.calibration.world_frame import to_world_frame
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.reconstruction.reconstruct import reconstruct
from cvsf.session.calibrations import CalibrationUpdate
from runtime.calibration.gauge_alignment import continued
from runtime.calibration.keyframes import Keyframes
from runtime.calibration.live_lenses import LiveLenses
from runtime.calibration.observation_codec import LiftedPose
from runtime.calibration.reprojection_error import (
    mean_reprojection_error,
    reprojection_errors,
    triangulated,
)
from runtime.calibration.resection import resected

log = logging.getLogger(__name__)

# times are of movement; errors are shares of the person's extent; guesses, not measured
_RETRY_S, _RETRY_SHARE = 0.25, 0.15  # after a refusal
_GROWTH, _LEAST_WAIT_S, _MOST_WAIT_S = 0.6, 0.8, 60.0
"""Between calibrations: a share of the movement since a camera last moved."""
_FINAL_S = 10.0  # until gravity and scale of the world frame are final
_WORST_ERROR = 0.05
_BETTER_RATIO = 0.985  # times the error of the present calibration
_LEAST_VIEWS = 8  # instants in which a camera and another one saw the person
_FRAME_INSTANTS = 160  # for the estimation of the world frame
_RECENT_S = 1.5
_RESECTION_S, _RESECTION_EVERY_S = 0.8, 0.3
_RESECTION_ERROR = 0.04
_REFINE_RATIO, _REFINE_S = 1.5, 8.0  # a recovered camera is refined with more observations
_JOINT_CALIBRATION_S = 4.0  # until a moved camera is calibrated jointly with all others
_PANNING_S, _PANNING_SHARE, _PANNING_MOST_S = 5.0, 0.8, 8.0
"""Panning cameras are calibrated from the last observations, of at least and at most that long."""
_PANNING_UNCERTAIN = 0.15
"""Standard deviation of a panning camera's position over its distance, above which a calibration is
refused: skeletons would be worse than those of the lifter alone."""
_FIXED_ERROR = 0.015
"""Error below which cameras that were lost once count as fixed."""


class OnlineCalibrator:
    """The keyframes and the current calibration."""

    def __init__(self) -> None:
        self.scale = Scale()  # the length that the user gave
        self.lenses = LiveLenses({})  # those that are known
        self.first_s = 1.0
        self.reason = ""  # why there is no calibration yet
        self.new_refusal = False
        self._keyframes = Keyframes()
        self._current: Calibration | None = None
        self._recovered: dict[
            str, tuple[float, float]
        ] = {}  # recovered camera: when it moved, when it was recovered
        self._lost = False
        self.losses = 0  # how often all cameras were lost, by the hub's messages
        self._may_pan = False  # fixed cameras were calibrated once, and lost
        self._moved: dict[str, float] = {}  # camera: since when
        self._next_s = 0.0  # of watched time, when to calibrate next
        self._moved_at_s = 0.0  # of watched time, when a camera last moved
        self._resected_s = -math.inf

    @property
    def has_calibration(self) -> bool:
        """Whether a calibration was found or given; it stays True after `all_lost`."""
        return self._current is not None

    @property
    def watched_s(self) -> float:
        """How long (s) two views or more have seen the person; a longer pause counts as 0.25 s."""
        return self._keyframes.watched_s

    def add(self, instant: LiftedPose) -> None:
        """Add one instant to the keyframes, if two views or more saw the person."""
        self._keyframes.add(instant)

    def resume(self, calibration: Calibration) -> None:
        """Take a known calibration as the current one; a better one may follow after 10 s of
        movement.
        """
        self._current = calibration
        self._next_s = self._keyframes.watched_s + _FINAL_S

    def camera_moved(self, camera: str, since_s: float) -> None:
        """Note that a camera moved at `since_s` (s, hub clock), and drop its earlier views. Later
        calls of `update` search its new pose.
        """
        self._moved[camera], self._moved_at_s = since_s, self._keyframes.watched_s
        self._recovered.pop(camera, None)
        self._keyframes.forget(camera, since_s)

    def all_lost(self, since_s: float) -> None:
        """Note that all cameras moved at `since_s` (s, hub clock), and drop their earlier views.
        The next calibration comes after some more movement, with the cause `again`.
        """
        for camera in self._current.rig.cameras if self._current else ():
            self._keyframes.forget(camera, since_s)
        self._moved.clear()
        self._recovered.clear()
        self._lost, self.losses = True, self.losses + 1
        self._may_pan = (
            self._current is not None and len(self._current.rig.cameras) >= LEAST_PANNING
        )
        wait_s = _PANNING_S if self._may_pan else self.first_s
        self._next_s = self._keyframes.watched_s + wait_s

    def update(self) -> list[CalibrationUpdate]:
        """The calibrations found now; it may take seconds. Empty if it is too early, if the current
        one is as good, or if the motion does not determine the cameras (then `reason` says why and
        `new_refusal` is set; nothing is raised). The cause is `first`, `better`, `again` (after
        `all_lost`) or `moved` (a camera was recovered, or its new pose refined).
        """
        if self._current and not self._lost and (self._moved or self._recovered):
            try:
                recovered = self._resect_moved(self._current)
            except (cv2.error, np.linalg.LinAlgError) as error:
                log.warning("moved camera not recovered yet", extra={"reason": str(error)})
                return []
            if recovered or (self._moved and not self._is_long_moved()):
                return recovered
        if self._keyframes.watched_s < max(self._next_s, self.first_s):
            return []
        watched_s = self._keyframes.watched_s
        try:
            found = self._calibrate()
        except (Undetermined, ValueError, np.linalg.LinAlgError) as refusal:
            self.reason, self.new_refusal = str(refusal), True
            wait_s = self._wait_s() if self._current else max(_RETRY_S, _RETRY_SHARE * watched_s)
            self._next_s = watched_s + min(wait_s, _MOST_WAIT_S)
            return []
        self._next_s = watched_s + self._wait_s()
        if found is None:
            return []
        cause = "again" if self._lost else "better" if self._current else "first"
        moved = tuple(camera for camera in self._moved if camera in found.rig.cameras)
        for camera in moved:
            del self._moved[camera]
        self._current, self._lost, self.reason = found, False, ""
        return [CalibrationUpdate(calibration=found, cause=cause, moved=moved)]

    def _wait_s(self) -> float:
        """Movement (s) until the next calibration: short at first, longer later."""
        known_s = self._keyframes.watched_s - self._moved_at_s
        return min(max(_GROWTH * known_s, _LEAST_WAIT_S), _MOST_WAIT_S)

    def _is_long_moved(self) -> bool:
        """Whether a moved camera is now calibrated jointly with all others."""
        return self._keyframes.newest_s - min(self._moved.values()) > _JOINT_CALIBRATION_S

    def _calibrate(self) -> Calibration | None:
        """The calibration from all keyframes; None if the current one is as good."""
        current = self._current
        if current and current.rig.is_panning and not self._lost:
            return None  # the hub tracks them with known centres
        observations = self._known_views()
        try:
            found, error = self._calibrate_fixed(observations)
        except Undetermined as refusal:
            if current and not (self._lost or self._moved):
                raise
            return self._calibrate_panning(refusal)
        if self._may_pan and error > _FIXED_ERROR:
            return self._calibrate_panning(Undetermined("the cameras moved"))
        if current and not self._lost:
            if not set(current.rig.cameras) <= set(found.rig.cameras):
                return None
            is_new = self._moved or current.rig.cameras != found.rig.cameras
            if not is_new and error > _BETTER_RATIO * mean_reprojection_error(
                current.rig, observations
            ):
                return None
        rows = np.unique(np.linspace(0, len(observations) - 1, _FRAME_INSTANTS).round().astype(int))
        found = self._in_world_frame(observations.take(rows), found)
        return self._continued(current, found) if current and not current.rig.is_panning else found

    def _in_world_frame(self, observations: LiftedObservations, found: Calibration) -> Calibration:
        skeletons = reconstruct(observations, found)
        return to_world_frame(found, skeletons, self.scale)

    def _calibrate_fixed(self, observations: LiftedObservations) -> tuple[Calibration, float]:
        """The calibration of fixed cameras, and its mean reprojection error."""
        found = calibrate(observations)
        error = mean_reprojection_error(found.rig, observations)
        if not error < _WORST_ERROR:
            raise Undetermined(
                f"the calibration has a reprojection error of {error:.0%} of the person's extent; "
                "the cameras move, or do not show the same person at the same time"
            )
        return found, error

    def _calibrate_panning(self, refusal: Undetermined) -> Calibration:
        """The calibration of panning cameras, at its newest instant."""
        recent = self._keyframes.since(self._keyframes.newest_s - _PANNING_MOST_S)
        if recent is None or len(recent.cameras) < LEAST_PANNING:
            raise refusal
        if float(np.ptp(recent.t_s)) < _PANNING_S * _PANNING_SHARE:
            raise refusal
        found = calibrate(recent, moving="panning")
        worst = float(found.uncertainty.position_share.max())
        if worst > _PANNING_UNCERTAIN:
            raise Undetermined(
                f"the cameras pan, and their positions are uncertain by {worst:.0%} of the "
                f"distance, expected at most {_PANNING_UNCERTAIN:.0%}; let the athlete move longer"
            )
        return self._in_world_frame(recent, found).rows(slice(-1, None))

    def _known_views(self) -> LiftedObservations:
        """All keyframes, without cameras with too few observations."""
        observations = self._keyframes.since(-math.inf)
        if observations is None:
            raise Undetermined("no two cameras saw the person")
        in_two_views = (
            observations.confidence.any(-1) & (observations.confidence.any(-1).sum(1) > 1)[:, None]
        )
        views = np.flatnonzero(in_two_views.sum(0) >= _LEAST_VIEWS)
        if len(views) < 2:
            raise Undetermined("no two cameras saw the person for long enough")
        return self.lenses.given(observations.of_views(views.tolist()))

    def _continued(self, current: Calibration, found: Calibration) -> Calibration:
        known = set(current.rig.cameras) - set(self._moved)
        common = [camera for camera in found.rig.cameras if camera in known]
        start_s = self._keyframes.newest_s - _RECENT_S
        for_found = self._keyframes.since(start_s, found.rig.cameras)
        for_current = self._keyframes.since(start_s, current.rig.cameras, without=self._moved)
        if for_found is None or for_current is None or not common:
            return found
        joints = reconstruct(for_found, found).joints, reconstruct(for_current, current).joints
        final = self._keyframes.watched_s > _FINAL_S and not self._lost
        return continued(found, current, common, joints, final=final)

    def _resect_moved(self, current: Calibration) -> list[CalibrationUpdate]:
        """Resect moved cameras that are determined, and refine those that were just recovered."""
        now_s = self._keyframes.newest_s
        if now_s - self._resected_s < _RESECTION_EVERY_S:
            return []
        self._resected_s = now_s
        found, moved = current, []
        for camera, since_s in list(self._moved.items()):
            if now_s - since_s > _RESECTION_S and (
                resected_calibration := self._with_resected(found, camera, since_s)
            ):
                found = resected_calibration
                moved.append(camera)
                del self._moved[camera]
                self._recovered[camera] = since_s, now_s
                self._next_s = self._keyframes.watched_s + _LEAST_WAIT_S
        for camera, (since_s, recovered_s) in list(self._recovered.items()):
            if now_s - since_s > _REFINE_RATIO * (recovered_s - since_s):
                found = self._with_resected(found, camera, since_s) or found
                self._recovered[camera] = since_s, now_s
            if now_s - since_s > _REFINE_S:
                del self._recovered[camera]
        if found is current:
            return []
        self._current = found
        return [CalibrationUpdate(calibration=found, cause="moved", moved=tuple(moved))]

    def _with_resected(
        self, current: Calibration, camera: str, since_s: float
    ) -> Calibration | None:
        """The calibration with the camera's new pose; None if that is not determined yet."""
        observations = self._keyframes.since(since_s, current.rig.cameras)
        if observations is None or camera not in current.rig.cameras:
            return None
        view = current.rig.cameras.index(camera)
        excluded = {camera, *self._moved}
        joints = triangulated(
            current.rig,
            observations,
            [v for v, c in enumerate(current.rig.cameras) if c not in excluded],
        )
        keypoints_px = observations.keypoints_px[:, view].astype(np.float64)
        rig = resected(current.rig, view, joints, keypoints_px, observations.confidence[:, view])
        if rig is None:
            return None
        error = reprojection_errors(rig, joints, observations)[:, view]
        if not np.isfinite(error).any() or np.nanmedian(error) > _RESECTION_ERROR:
            return None
        return replace(current, rig=rig)

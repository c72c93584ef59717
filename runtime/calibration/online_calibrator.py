"""The online calibrator: it finds the cameras, improves them, and finds a camera that moved.

A calibration replaces another one only where it fits all observations better, and stays in its
world frame.
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
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration
from cvsf.reconstruction.reconstruct import reconstruct
from cvsf.session.calibrations import CalibrationUpdate
from runtime.calibration.gauge_alignment import continued
from runtime.calibration.keyframes import Keyframes
from runtime.calibration.observation_codec import LiftedPose
from runtime.calibration.reprojection_error import (
    mean_reprojection_error,
    reprojection_errors,
    triangulated,
)
from runtime.calibration.resection import resected

log = logging.getLogger(__name__)

# times are of movement; errors are shares of the person's extent; guesses, not measured
_AGAIN_S, _AGAIN_SHARE = 0.25, 0.15  # after a refusal
_GROWTH, _LEAST_WAIT_S, _MOST_WAIT_S = 0.6, 0.8, 60.0
"""Between calibrations: a share of the movement since a camera last moved."""
_FINAL_S = 10.0  # until gravity and scale of the world frame are final
_WORST_ERROR = 0.05
_BETTER = 0.985  # times the error of the calibration before
_LEAST_VIEWS = 8  # instants in which a camera saw the person beside another
_FRAME_INSTANTS = 160  # that the world frame is found from
_RECENT_S = 1.5
_RESECTION_S, _RESECTION_EVERY_S = 0.8, 0.3
_RESECTION_ERROR = 0.04
_REFINED, _FRESH_S = 1.5, 8.0  # a camera found again is refined as more of it is seen
_ALL_AGAIN_S = 4.0  # until a moved camera is calibrated together with all others
_PANNING_S, _PANNING_SHARE, _PANNING_MOST_S = 5.0, 0.8, 8.0
"""Panning cameras are calibrated from the last observations, of at least and at most that long."""
_PANNING_UNCERTAIN = 0.15
"""Deviation of a panning camera's position, over its distance, from which skeletons were worse
than the lifter's own."""
_STILL_ERROR = 0.015
"""Error below which cameras that were lost once count as standing still."""


class OnlineCalibrator:
    """Keyframes and the current calibration."""

    def __init__(self) -> None:
        self.scale = Scale()  # what the user knows in metres
        self.first_s = 1.0
        self.reason = ""  # why there is no calibration yet
        self.new_refusal = False
        self._keyframes = Keyframes()
        self._current: Calibration | None = None
        self._fresh: dict[str, tuple[float, float]] = {}  # found again: moved and found when
        self._lost = False
        self.losses = 0  # how often all cameras were lost, by the hub's messages
        self._may_pan = False  # still cameras were found once, and lost
        self._moved: dict[str, float] = {}  # camera: since when
        self._next_s = 0.0  # of watched time, when to calibrate again
        self._moved_at_s = 0.0  # of watched time, when a camera last moved
        self._resected_s = -math.inf

    @property
    def has_calibration(self) -> bool:
        """Whether there are cameras."""
        return self._current is not None

    @property
    def watched_s(self) -> float:
        """How long the person was seen by two cameras."""
        return self._keyframes.watched_s

    def add(self, seen: LiftedPose) -> None:
        """Add one instant."""
        self._keyframes.add(seen)

    def resume(self, calibration: Calibration) -> None:
        """Continue from a calibration that is known already."""
        self._current = calibration
        self._next_s = self._keyframes.watched_s + _FINAL_S

    def camera_moved(self, camera: str, since_s: float) -> None:
        """Forget the views of a camera before it moved."""
        self._moved[camera], self._moved_at_s = since_s, self._keyframes.watched_s
        self._fresh.pop(camera, None)
        self._keyframes.forget(camera, since_s)

    def all_lost(self, since_s: float) -> None:
        """Forget the views of all cameras before then."""
        for camera in self._current.rig.cameras if self._current else ():
            self._keyframes.forget(camera, since_s)
        self._moved.clear()
        self._fresh.clear()
        self._lost, self.losses = True, self.losses + 1
        self._may_pan = (
            self._current is not None and len(self._current.rig.cameras) >= LEAST_PANNING
        )
        wait_s = _PANNING_S if self._may_pan else self.first_s
        self._next_s = self._keyframes.watched_s + wait_s

    def update(self) -> list[CalibrationUpdate]:
        """The calibrations found since the last call; takes up to seconds."""
        if self._current and not self._lost and (self._moved or self._fresh):
            try:
                found_again = self._resect_moved(self._current)
            except (cv2.error, np.linalg.LinAlgError) as error:
                log.warning("moved camera not found yet", extra={"reason": str(error)})
                return []
            if found_again or (self._moved and not self._is_long_moved()):
                return found_again
        if self._keyframes.watched_s < max(self._next_s, self.first_s):
            return []
        watched_s = self._keyframes.watched_s
        try:
            found = self._calibrate()
        except (Undetermined, ValueError, np.linalg.LinAlgError) as refusal:
            self.reason, self.new_refusal = str(refusal), True
            wait_s = self._wait_s() if self._current else max(_AGAIN_S, _AGAIN_SHARE * watched_s)
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
        """Until the next calibration: short at first, longer later."""
        known_s = self._keyframes.watched_s - self._moved_at_s
        return min(max(_GROWTH * known_s, _LEAST_WAIT_S), _MOST_WAIT_S)

    def _is_long_moved(self) -> bool:
        """Whether a camera that moved is calibrated together with all the others."""
        return self._keyframes.newest_s - min(self._moved.values()) > _ALL_AGAIN_S

    def _calibrate(self) -> Calibration | None:
        """The cameras by all keyframes; None if the current ones are as good."""
        current = self._current
        if current and current.rig.is_panning and not self._lost:
            return None  # their centres are known, and the hub tracks them
        seen = self._known_views()
        try:
            found, off = self._still(seen)
        except Undetermined as refusal:
            if current and not (self._lost or self._moved):
                raise
            return self._panning(refusal)
        if self._may_pan and off > _STILL_ERROR:
            return self._panning(Undetermined("the cameras moved"))
        if current and not self._lost:
            if not set(current.rig.cameras) <= set(found.rig.cameras):
                return None
            is_new = self._moved or current.rig.cameras != found.rig.cameras
            if not is_new and off > _BETTER * mean_reprojection_error(current.rig, seen):
                return None
        rows = np.unique(np.linspace(0, len(seen) - 1, _FRAME_INSTANTS).round().astype(int))
        found = self._in_world_frame(seen.take(rows), found)
        return self._continued(current, found) if current and not current.rig.is_panning else found

    def _in_world_frame(self, seen: LiftedObservations, found: Calibration) -> Calibration:
        skeletons = reconstruct(seen, found)
        return to_world_frame(found, skeletons, self.scale)

    def _still(self, seen: LiftedObservations) -> tuple[Calibration, float]:
        """Cameras that stand still, and their reprojection error."""
        found = calibrate(seen)
        off = mean_reprojection_error(found.rig, seen)
        if not off < _WORST_ERROR:
            raise Undetermined(
                f"the cameras found have a reprojection error of {off:.0%} of the person's size; "
                "they move, or do not see the same person in step"
            )
        return found, off

    def _panning(self, refusal: Undetermined) -> Calibration:
        """Cameras that pan, where still ones were refused; at their newest instant."""
        recent = self._keyframes.since(self._keyframes.newest_s - _PANNING_MOST_S)
        if recent is None or len(recent.cameras) < LEAST_PANNING:
            raise refusal
        if float(np.ptp(recent.t_s)) < _PANNING_S * _PANNING_SHARE:
            raise refusal
        found = calibrate(recent, moving="panning")
        worst = float(found.uncertainty.position_share.max())
        if worst > _PANNING_UNCERTAIN:
            raise Undetermined(
                f"the cameras pan, and their places are known to {worst:.0%} of the distance, "
                f"expected {_PANNING_UNCERTAIN:.0%}; let the athlete move longer"
            )
        return self._in_world_frame(recent, found).rows(slice(-1, None))

    def _known_views(self) -> LiftedObservations:
        """All keyframes, without cameras that saw too little."""
        seen = self._keyframes.since(-math.inf)
        if seen is None:
            raise Undetermined("no two cameras saw the person")
        with_another = seen.confidence.any(-1) & (seen.confidence.any(-1).sum(1) > 1)[:, None]
        views = np.flatnonzero(with_another.sum(0) >= _LEAST_VIEWS)
        if len(views) < 2:
            raise Undetermined("no two cameras saw the person for long enough")
        return seen.of_views(views.tolist())

    def _continued(self, current: Calibration, found: Calibration) -> Calibration:
        known = set(current.rig.cameras) - set(self._moved)
        both = [camera for camera in found.rig.cameras if camera in known]
        start_s = self._keyframes.newest_s - _RECENT_S
        for_found = self._keyframes.since(start_s, found.rig.cameras)
        for_current = self._keyframes.since(start_s, current.rig.cameras, without=self._moved)
        if for_found is None or for_current is None or not both:
            return found
        joints = reconstruct(for_found, found).joints, reconstruct(for_current, current).joints
        final = self._keyframes.watched_s > _FINAL_S and not self._lost
        return continued(found, current, both, joints, final=final)

    def _resect_moved(self, current: Calibration) -> list[CalibrationUpdate]:
        """Cameras that moved, as far as they are determined; those just found, from more."""
        now_s = self._keyframes.newest_s
        if now_s - self._resected_s < _RESECTION_EVERY_S:
            return []
        self._resected_s = now_s
        found, moved = current, []
        for camera, since_s in list(self._moved.items()):
            if now_s - since_s > _RESECTION_S and (again := self._resected(found, camera, since_s)):
                found = again
                moved.append(camera)
                del self._moved[camera]
                self._fresh[camera] = since_s, now_s
                self._next_s = self._keyframes.watched_s + _LEAST_WAIT_S
        for camera, (since_s, found_s) in list(self._fresh.items()):
            if now_s - since_s > _REFINED * (found_s - since_s):
                found = self._resected(found, camera, since_s) or found
                self._fresh[camera] = since_s, now_s
            if now_s - since_s > _FRESH_S:
                del self._fresh[camera]
        if found is current:
            return []
        self._current = found
        return [CalibrationUpdate(calibration=found, cause="moved", moved=tuple(moved))]

    def _resected(self, current: Calibration, camera: str, since_s: float) -> Calibration | None:
        """The calibration with that camera's new pose; None if it is not determined yet."""
        seen = self._keyframes.since(since_s, current.rig.cameras)
        if seen is None or camera not in current.rig.cameras:
            return None
        view = current.rig.cameras.index(camera)
        away = {camera, *self._moved}
        joints = triangulated(
            current.rig, seen, [v for v, c in enumerate(current.rig.cameras) if c not in away]
        )
        pixels = seen.keypoints_px[:, view].astype(np.float64)
        rig = resected(current.rig, view, joints, pixels, seen.confidence[:, view])
        if rig is None:
            return None
        off = reprojection_errors(rig, joints, seen)[:, view]
        if not np.isfinite(off).any() or np.nanmedian(off) > _RESECTION_ERROR:
            return None
        return replace(current, rig=rig)

"""What the surveyor does with what it is shown: find the cameras, improve them, find a moved one.

A calibration replaces another only where it explains everything seen better, and stays in its
world.
"""

import logging
import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.ptz import LEAST_PANNING
from cvsf.calibration.world_frame import stand
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration, pans, rows_of_rig
from cvsf.reconstruction.reconstruct import place
from runtime.calibration.gauge_alignment import continued
from runtime.calibration.keyframes import Gallery
from runtime.calibration.observation_codec import arranged
from runtime.calibration.reprojection_error import fit, misfit, triangulated
from runtime.calibration.resection import resected

log = logging.getLogger(__name__)

_AGAIN_S, _AGAIN_SHARE = 0.25, 0.15  # of movement, after a refusal
_GROWTH, _LEAST_WAIT_S, _MOST_WAIT_S = 0.6, 0.8, 60.0
"""Between surveys: a share of the movement since the cameras last stood otherwise."""
_SETTLED_S = 10.0
_WORST_FIT = 0.05
_BETTER_FIT = 0.985
_LEAST_VIEWS = 8  # instants in which a camera saw the person beside another
_PLACED = 160  # instants the world is stood up by
_RECENT_S = 1.5
_RESECTION_S, _RESECTION_EVERY_S = 0.8, 0.3
_RESECTION_FIT = 0.04
_REFINED, _FRESH_S = 1.5, 8.0  # a camera found again is refined as more of it is seen
_ALL_ANEW_S = 4.0
_PANNING_S, _PANNING_SHARE, _PANNING_MOST_S = 5.0, 0.8, 8.0
"""Panning cameras are sought in so much of what was seen last."""
_PANNING_UNSURE = 0.15
"""Panning rigs less sure than that gave worse skeletons than the lifter by itself."""
_STILL_FIT = 0.015
"""Cameras that did not hold once must fit that well to count as standing still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A calibration for the hub, and why it comes."""

    calibration: Calibration
    cause: str  # first, better, moved, or again, where all were lost
    moved: tuple[str, ...] = ()  # cameras found in a new place


class Surveying:
    """The surveyor's mind: what it has seen, and what it holds to be true."""

    def __init__(self) -> None:
        self.scale = Scale()  # what the user knows in metres
        self.first_s = 1.0
        self.reason = ""  # why there is no calibration yet
        self.news_of_refusal = False
        self._gallery = Gallery()
        self._held: Calibration | None = None
        self._fresh: dict[str, tuple[float, float]] = {}  # found again: moved and found when
        self._lost = False
        self.losses = 0  # how often all cameras were lost, as far as this was heard
        self._may_pan = False  # still cameras were found once, and did not hold
        self._moved: dict[str, float] = {}  # camera: since when
        self._next_s = 0.0  # of the gallery's time, when to survey again
        self._moved_at_s = 0.0  # of the gallery's time, when a camera last stood elsewhere
        self._resected_s = -math.inf

    @property
    def has_found(self) -> bool:
        """Whether there are cameras."""
        return self._held is not None

    @property
    def watched_s(self) -> float:
        """How long the person was seen by two cameras."""
        return self._gallery.watched_s

    def see(self, seen: LiftedObservations) -> None:
        """One instant."""
        self._gallery.add(seen)

    def hold(self, calibration: Calibration) -> None:
        """Go on from a calibration that is known already."""
        self._held = calibration
        self._next_s = self._gallery.watched_s + _SETTLED_S

    def doubt(self, camera: str, since_s: float) -> None:
        """A camera stands elsewhere since then."""
        self._moved[camera], self._moved_at_s = since_s, self._gallery.watched_s
        self._fresh.pop(camera, None)
        self._gallery.forget(camera, since_s)

    def lose(self, since_s: float) -> None:
        """Nobody knows any more where any camera is."""
        for camera in self._held.rig.cameras if self._held else ():
            self._gallery.forget(camera, since_s)
        self._moved.clear()
        self._fresh.clear()
        self._lost, self.losses = True, self.losses + 1
        self._may_pan = self._held is not None and len(self._held.rig.cameras) >= LEAST_PANNING
        wait_s = _PANNING_S if self._may_pan else self.first_s
        self._next_s = self._gallery.watched_s + wait_s

    def think(self) -> list[Found]:
        """What has become known since the last time; takes as long as it takes."""
        if self._held and not self._lost and (self._moved or self._fresh):
            try:
                found_again = self._look_for_moved(self._held)
            except (cv2.error, np.linalg.LinAlgError) as error:
                log.warning("moved camera not found yet", extra={"reason": str(error)})
                return []
            if found_again or (self._moved and not self._is_long_moved()):
                return found_again
        if self._gallery.watched_s < max(self._next_s, self.first_s):
            return []
        watched_s = self._gallery.watched_s
        try:
            found = self._survey()
        except (Undetermined, ValueError, np.linalg.LinAlgError) as refusal:
            self.reason, self.news_of_refusal = str(refusal), True
            wait_s = self._wait_s() if self._held else max(_AGAIN_S, _AGAIN_SHARE * watched_s)
            self._next_s = watched_s + min(wait_s, _MOST_WAIT_S)
            return []
        self._next_s = watched_s + self._wait_s()
        if found is None:
            return []
        cause = "again" if self._lost else "better" if self._held else "first"
        moved = tuple(camera for camera in self._moved if camera in found.rig.cameras)
        for camera in moved:
            del self._moved[camera]
        self._held, self._lost, self.reason = found, False, ""
        return [Found(calibration=found, cause=cause, moved=moved)]

    def _wait_s(self) -> float:
        """Until the next survey: soon while little was seen, seldom later."""
        known_s = self._gallery.watched_s - self._moved_at_s
        return min(max(_GROWTH * known_s, _LEAST_WAIT_S), _MOST_WAIT_S)

    def _is_long_moved(self) -> bool:
        """Whether a camera that moved is better sought together with all the others."""
        return self._gallery.newest_s - min(self._moved.values()) > _ALL_ANEW_S

    def _survey(self) -> Calibration | None:
        """The cameras as all that was seen determines them; None if those held are as good."""
        held = self._held
        if held and pans(held.rig) and not self._lost:
            return None  # their tripods are known, and the hub follows them
        seen = self._known_views()
        try:
            found, off = self._still(seen)
        except Undetermined as refusal:
            if held and not (self._lost or self._moved):
                raise
            return self._panning(refusal)
        if self._may_pan and off > _STILL_FIT:
            return self._panning(Undetermined("the cameras did not hold"))
        if held and not self._lost:
            if not set(held.rig.cameras) <= set(found.rig.cameras):
                return None
            is_new = self._moved or held.rig.cameras != found.rig.cameras
            if not is_new and off > _BETTER_FIT * fit(held.rig, seen):
                return None
        some = seen.take(np.unique(np.linspace(0, len(seen) - 1, _PLACED).round().astype(int)))
        found = stand(found, place(some, found), self.scale)
        return self._in_world_of(held, found) if held and not pans(held.rig) else found

    def _still(self, seen: LiftedObservations) -> tuple[Calibration, float]:
        """Cameras that stand still, and how far they are off."""
        found = calibrate(seen)
        off = fit(found.rig, seen)
        if not off < _WORST_FIT:
            raise Undetermined(
                f"the cameras found leave {off:.0%} of the person's size unexplained; "
                "they move, or what they see does not fit together"
            )
        return found, off

    def _panning(self, refusal: Undetermined) -> Calibration:
        """Cameras that pan, where still ones were refused; the newest of them alone is told."""
        recent = self._gallery.since(self._gallery.newest_s - _PANNING_MOST_S)
        if recent is None or len(recent.cameras) < LEAST_PANNING:
            raise refusal
        if float(np.ptp(recent.t_s)) < _PANNING_S * _PANNING_SHARE:
            raise refusal
        found = calibrate(recent, moving="panning")
        worst = float(found.sureness.position_share.max())
        if worst > _PANNING_UNSURE:
            raise Undetermined(
                f"the cameras pan, and their places are known to {worst:.0%} of the distance, "
                f"expected {_PANNING_UNSURE:.0%}; let the athlete move longer"
            )
        placed = place(recent, found)
        found = stand(found, placed, self.scale)
        return rows_of_rig(found, slice(-1, None))

    def _known_views(self) -> LiftedObservations:
        """All that was seen, without cameras that saw too little."""
        seen = self._gallery.since(-math.inf)
        if seen is None:
            raise Undetermined("nobody was seen by two cameras")
        with_another = seen.confidence.any(-1) & (seen.confidence.any(-1).sum(1) > 1)[:, None]
        views = np.flatnonzero(with_another.sum(0) >= _LEAST_VIEWS)
        if len(views) < 2:
            raise Undetermined("nobody was seen by two cameras for long enough")
        return seen.of_views(views.tolist())

    def _in_world_of(self, held: Calibration, found: Calibration) -> Calibration:
        known = set(held.rig.cameras) - set(self._moved)
        both = [camera for camera in found.rig.cameras if camera in known]
        recent = self._gallery.since(self._gallery.newest_s - _RECENT_S)
        if recent is None or not both:
            return found
        there = place(arranged(recent, found.rig.cameras), found).joints
        here = place(arranged(recent, held.rig.cameras, without=self._moved), held).joints
        settled = self._gallery.watched_s > _SETTLED_S and not self._lost
        return continued(found, held, both, (there, here), settled=settled)

    def _look_for_moved(self, held: Calibration) -> list[Found]:
        """Cameras that moved, as far as they can be told; those just found, from more."""
        now_s = self._gallery.newest_s
        if now_s - self._resected_s < _RESECTION_EVERY_S:
            return []
        self._resected_s = now_s
        found, moved = held, []
        for camera, since_s in list(self._moved.items()):
            if now_s - since_s > _RESECTION_S and (
                again := self._find_again(found, camera, since_s)
            ):
                found = again
                moved.append(camera)
                del self._moved[camera]
                self._fresh[camera] = since_s, now_s
                self._next_s = self._gallery.watched_s + _LEAST_WAIT_S
        for camera, (since_s, found_s) in list(self._fresh.items()):
            if now_s - since_s > _REFINED * (found_s - since_s):
                found = self._find_again(found, camera, since_s) or found
                self._fresh[camera] = since_s, now_s
            if now_s - since_s > _FRESH_S:
                del self._fresh[camera]
        if found is held:
            return []
        self._held = found
        return [Found(calibration=found, cause="moved", moved=tuple(moved))]

    def _find_again(self, held: Calibration, camera: str, since_s: float) -> Calibration | None:
        """The calibration with that camera where it is now; None if that cannot be told yet."""
        seen = self._gallery.since(since_s)
        if seen is None or camera not in held.rig.cameras:
            return None
        seen = arranged(seen, held.rig.cameras)
        view = held.rig.cameras.index(camera)
        away = {camera, *self._moved}
        joints = triangulated(
            held.rig, seen, [v for v, c in enumerate(held.rig.cameras) if c not in away]
        )
        pixels = seen.keypoints_px[:, view].astype(np.float64)
        rig = resected(held.rig, view, joints, pixels, seen.confidence[:, view])
        if rig is None:
            return None
        off = misfit(rig, joints, seen)[:, view]
        if not np.isfinite(off).any() or np.nanmedian(off) > _RESECTION_FIT:
            return None
        return replace(held, rig=rig)

"""From the body's own frame to the world: every skeleton placed by the cameras that were found.

Until cameras are found a skeleton stays as the lifter made it. A camera that has moved is left out
until it is found again; nothing here waits for the surveyor.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cvsf.engine.engine import Lifted
from cvsf.messages import MultiviewPose, Skeleton
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration, pans
from cvsf.reconstruction.reconstruct import Placed, place
from cvsf.session.calibrations import CAMERAS, Held, read_cameras
from cvsf.skeleton import joint_set
from cvsf.system.errors import Refusal
from runtime.calibration.calibrator_client import News, Survey
from runtime.calibration.depth_filter import Depth
from runtime.calibration.extrinsics_monitor import Vigil
from runtime.calibration.known_cameras import Known
from runtime.calibration.live_ptz import Pursued
from runtime.calibration.metric_scale import measures
from runtime.calibration.observation_codec import arranged, seen_now
from runtime.config import HubConfig
from runtime.stats import WorldState, WorldStats

log = logging.getLogger(__name__)

_ROUNDS = 5
_HALF_SURE = 0.05
"""Metres of deviation at which a joint's confidence is half of what its pixels deserve."""
_LEAST_JOINTS = 4  # in one view, for a person to be placed at all
_LOST_S = 2.0
"""Cameras that part for so long, with none to blame, are all looked for anew."""


class World:
    """The cameras that hold now, and the skeletons among them; belongs to the hub's main thread."""

    def __init__(
        self, survey: Survey | Known | None, on_found: Callable[[Held], None] = lambda held: None
    ) -> None:
        self._survey, self._on_found = survey, on_found
        self._vigil: Vigil | None = None  # over cameras that stand still
        self._pursued: Pursued | None = None  # those that pan
        self._depth = Depth()
        self._doubted: dict[str, float] = {}  # camera: when that came to be known (monotonic)
        self._moved_s: dict[str, float] = {}  # camera: when it was found in a new place
        self._found_s = 0.0
        self.held: Held | None = None
        self._number = 0
        self._resumed: News | None = None
        self.moves = 0  # cameras that were found to have moved
        self.changes = 0  # of what `about` says

    def resume(self, calibration: Calibration, number: int) -> None:
        """Go on with the cameras of the hub before this one."""
        self._resumed = News(calibration=calibration, cause="resumed")
        self._number = number
        if self._survey:
            self._survey.hold(calibration)

    def place(self, pose: MultiviewPose, lifted: Lifted, skeleton: Skeleton) -> Skeleton | None:
        """The skeleton of this very instant in the world, or as it is while there is none."""
        seen = seen_now(pose, lifted, joint_set(skeleton.joint_set))
        self._hear(seen, skeleton.t_ns)
        held = self.held
        if held is None:
            return skeleton
        rig = held.calibration.rig
        if not set(rig.cameras) & set(seen.cameras):
            return skeleton  # a rig of other cameras
        whole = arranged(seen, rig.cameras)
        trusted, views = self._trusted(whole)
        placed = self._placed(held.calibration, trusted) if views else None
        if placed is None or not np.isfinite(placed.joints).all():
            return None
        joints = placed.joints[0]
        root, t_s = joints[seen.joint_set.index("hip")], float(seen.t_s[0])
        measured = len(views) > 1 and not set(views) & set(self._doubted)
        if measured:
            self._depth.note(root, t_s)
            self._watch(whole, placed.joints)
        elif len(views) == 1 and not self._pursued:
            joints = joints + self._depth.shift(root, rig.centres[rig.cameras.index(views[0])], t_s)
        sure = 1 / (1 + np.square(placed.deviation[0] / _HALF_SURE))
        return replace(
            skeleton,
            joints=joints.astype(np.float32),
            confidence=(skeleton.confidence * sure).astype(np.float32),
            views=views,
            measured=measured,
            frame_of_reference="world",
            scale_source=held.calibration.scale_source,
            calibration=held.number,
        )

    def _placed(self, calibration: Calibration, trusted: LiftedObservations) -> Placed:
        if self._pursued:
            return self._pursued.place(trusted)
        return place(trusted, calibration, rounds=_ROUNDS)

    def _hear(self, seen: LiftedObservations, t_ns: int) -> None:
        """Take up what has been found, and show the surveyor this instant."""
        if self._resumed:
            self._adopt(self._resumed, t_ns)
            self._resumed = None
        if self._survey:
            for news in self._survey.news(t_ns):
                self._adopt(news, t_ns)
            self._survey.see(seen, t_ns)

    def _trusted(self, whole: LiftedObservations) -> tuple[LiftedObservations, tuple[str, ...]]:
        """What is placed by and whose it is: doubted cameras only where no other sees anybody."""
        for left_out in (self._doubted, ()):
            trusted = arranged(whole, whole.cameras, without=left_out)
            seeing = zip(trusted.cameras, trusted.confidence[0], strict=True)
            views = tuple(camera for camera, row in seeing if row.any())
            if (trusted.confidence[0] > 0).sum(-1).max() >= _LEAST_JOINTS:
                return trusted, views
        return whole, ()

    def about(self) -> dict[str, Any] | None:
        """The cameras in the world, for clients."""
        if self.held is None:
            return None
        found = self._pursued.now if self._pursued else self.held.calibration
        rig, sure = found.rig, found.sureness
        return {
            "number": self.held.number,
            "scale_source": found.scale_source,
            "cameras": {
                camera: {
                    "centre": rig.centres[v],
                    "view_from_world": rig.view_from_world[v],
                    "focal_px": float(rig.focal_px[v]),
                    "image_px": rig.image_px[v],
                    "position_error": round(float(sure.position_share[v]), 4),
                    "reprojection_px": round(float(sure.reprojection_px[v]), 2),
                    "moved": camera in self._doubted,
                }
                for v, camera in enumerate(rig.cameras)
            },
        }

    def stats(self) -> WorldStats:
        """Of the cameras in the world."""
        if self._survey is None:
            return WorldStats(world=None)
        left_out, moves = self._survey.left_out, self.moves
        if self.held is None:
            state = WorldState(
                calibration=0,
                waiting_for=self._survey.reason,
                survey_left_out=left_out,
                moves=moves,
            )
            return WorldStats(world=state)
        cameras = self.held.calibration.rig.cameras
        recent = self._vigil.recent() if self._vigil else [math.nan] * len(cameras)
        state = WorldState(
            calibration=self.held.number,
            cause=self.held.cause,
            instants=self.held.calibration.instants,
            age_s=round(time.monotonic() - self._found_s, 1),
            scale_source=self.held.calibration.scale_source,
            moved=sorted(self._doubted),
            misfit={
                camera: round(float(off), 4)
                for camera, off in zip(cameras, recent, strict=True)
                if math.isfinite(off)
            },
            survey_left_out=left_out,
            moves=moves,
        )
        return WorldStats(world=state)

    def close(self) -> None:
        """End the survey."""
        if self._survey:
            self._survey.close()

    def _adopt(self, news: News, t_ns: int) -> None:
        self._number += 1
        self.held = Held(
            t_ns=t_ns,
            number=self._number,
            cause=news.cause,
            moved=news.moved,
            calibration=news.calibration,
        )
        for camera in news.moved:
            self._moved_s[camera] = t_ns * 1e-9
            self._believe(camera, "camera found in its new place")
        for camera in set(self._doubted) - set(news.calibration.rig.cameras):
            del self._doubted[camera]
        moving = pans(news.calibration.rig)
        self._pursued = Pursued(news.calibration) if moving else None
        self._vigil = None if moving else Vigil(news.calibration, self._moved_s)
        self._depth = Depth()
        self._found_s = time.monotonic()
        self.changes += 1
        log.info(
            "cameras found",
            extra={
                "calibration": self._number,
                "cause": news.cause,
                "cameras": list(news.calibration.rig.cameras),
                "instants": news.calibration.instants,
                "scale_source": news.calibration.scale_source,
            },
        )
        self._on_found(self.held)

    def _watch(self, seen: LiftedObservations, joints: Any) -> None:
        """Doubt a camera that has moved, believe one that fits again."""
        vigil = self._vigil
        if vigil is None:
            if self._pursued and self._pursued.lost(float(seen.t_s[0])):
                self._lose(float(seen.t_s[0]) - _LOST_S)
            return
        parted = vigil.see(seen, joints, self._doubted)
        for camera in [c for c in self._doubted if c in seen.cameras and vigil.fits(c)]:
            self._believe(camera, "camera fits again")
        if parted:
            camera, since_s = parted
            self._doubted[camera] = time.monotonic()
            self.moves += 1
            self.changes += 1
            log.warning("camera has moved", extra={"camera": camera})
            if self._survey:
                self._survey.doubt(camera, since_s)
        elif vigil.unclear_s > _LOST_S:
            self._lose(float(seen.t_s[0]) - _LOST_S)

    def _believe(self, camera: str, why: str) -> None:
        doubted_s = self._doubted.pop(camera, None)
        if doubted_s is not None:
            self.changes += 1
            after_s = round(time.monotonic() - doubted_s, 2)
            log.warning(why, extra={"camera": camera, "after_s": after_s})

    def _lose(self, since_s: float) -> None:
        """Give up the cameras: they part, and nobody can say which is wrong."""
        log.warning("cameras no longer fit together, looking for all of them")
        self.held = self._vigil = self._pursued = None
        self._doubted.clear()
        self.changes += 1
        if self._survey:
            self._survey.lose(since_s)


def found_world(
    config: HubConfig, known: Known | None, session: Path, on_found: Callable[[Held], None]
) -> World:
    """The world as the settings want it; a hub started anew goes on in the one there was."""
    survey: Survey | Known | None = known
    if known is None and config.calibrate:
        survey = Survey(measures(config), config.survey_first_s, config.survey_hz)
    world = World(survey, on_found)
    if isinstance(survey, Survey) and (session / CAMERAS).exists():
        try:
            world.resume(*read_cameras(session / CAMERAS))
        except Refusal as refusal:
            log.warning("cameras of before not read", extra={"reason": str(refusal)})
    return world

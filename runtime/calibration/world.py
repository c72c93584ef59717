"""Skeletons in the world frame, reconstructed with the current calibration.

Without a calibration a skeleton stays as the lifter made it. A camera that has moved is left out
until it is found again. No call waits for the calibration process.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.engine.engine import Lifted
from cvsf.hub_config import HubConfig
from cvsf.messages import MultiviewPose, Skeleton
from cvsf.multiview.rig import Calibration
from cvsf.reconstruction.reconstruct import Reconstruction, reconstruct
from cvsf.session.calibrations import CAMERAS, CalibrationUpdate, read_cameras
from cvsf.shapes import Float
from cvsf.skeleton import joint_set
from cvsf.system.errors import Refusal
from runtime.calibration.calibrator_client import CalibratorClient
from runtime.calibration.depth_filter import DepthFilter
from runtime.calibration.extrinsics_monitor import ExtrinsicsMonitor
from runtime.calibration.known_cameras import KnownCameras
from runtime.calibration.live_ptz import LivePtz
from runtime.calibration.observation_codec import LiftedPose, lifted_pose, stack
from runtime.stats import WorldState, WorldStats

Real = npt.NDArray[np.float64]

log = logging.getLogger(__name__)

_ROUNDS = 5
# guesses, not measured
_HALF_CONFIDENCE_M = 0.05
"""Deviation of a joint that halves its confidence."""
_LEAST_JOINTS = 4  # in one view, for a reconstruction
_LOST_S = 2.0
"""After how long of errors that no single camera explains all cameras are calibrated again."""


class World:
    """The current calibration and its skeletons; belongs to the hub's main thread."""

    def __init__(
        self,
        calibrator: CalibratorClient | KnownCameras | None,
        on_update: Callable[[CalibrationUpdate], None] = lambda update: None,
    ) -> None:
        self._calibrator, self._on_update = calibrator, on_update
        self._monitor: ExtrinsicsMonitor | None = None  # of cameras that stand still
        self._ptz: LivePtz | None = None  # of cameras that pan
        self._depth = DepthFilter()
        self._excluded: dict[str, float] = {}  # moved camera: when that was detected (monotonic)
        self._moved_s: dict[str, float] = {}  # camera: when it was found in a new place
        self._found_s = 0.0
        self.current: CalibrationUpdate | None = None
        self._number = 0
        self._resumed: CalibrationUpdate | None = None
        self.moves = 0  # cameras that were detected as moved
        self.changes = 0  # of what `about` returns

    def resume(self, previous: CalibrationUpdate) -> None:
        """Continue with the cameras of the hub before this one."""
        self._resumed = replace(previous, cause="resumed", moved=())
        self._number = previous.number
        if self._calibrator:
            self._calibrator.resume(previous.calibration)

    def reconstruct(
        self, pose: MultiviewPose, lifted: Lifted, skeleton: Skeleton
    ) -> Skeleton | None:
        """The skeleton of this very instant in the world; unchanged without a calibration."""
        seen = lifted_pose(pose, lifted, joint_set(skeleton.joint_set))
        self._exchange(seen, skeleton.t_ns)
        current = self.current
        if current is None:
            return skeleton
        rig = current.calibration.rig
        if not set(rig.cameras) & set(pose.cameras):
            return skeleton  # a rig of other cameras
        whole = seen.arranged(rig.cameras)
        used, views = self._used(whole)
        found = self._reconstructed(current.calibration, used) if views else None
        if found is None or not np.isfinite(found.joints).all():
            return None
        joints, deviation = found.joints[0], found.deviation[0]
        root = joints[joint_set(skeleton.joint_set).index("hip")]
        measured = len(views) > 1 and not set(views) & set(self._excluded)
        if measured:
            self._depth.measured(root, seen.t_s)
            self._check(whole, joints)
        elif len(views) == 1 and not self._ptz:
            centre = rig.centres[rig.cameras.index(views[0])]
            joints = joints + self._depth.shift(root, centre, seen.t_s)
        precision = 1 / (1 + np.square(deviation / _HALF_CONFIDENCE_M))
        return replace(
            skeleton,
            joints=joints.astype(np.float32),
            confidence=(skeleton.confidence * precision).astype(np.float32),
            views=views,
            measured=measured,
            frame_of_reference="world",
            scale_source=current.calibration.scale_source,
            calibration=current.number,
        )

    def _reconstructed(self, calibration: Calibration, used: LiftedPose) -> Reconstruction:
        if self._ptz:
            return self._ptz.reconstruct(used)
        return reconstruct(stack([used], calibration.rig.cameras), calibration, rounds=_ROUNDS)

    def _exchange(self, seen: LiftedPose, t_ns: int) -> None:
        """Use the calibrations that were found, and send this instant to the calibrator."""
        if self._resumed:
            self._use(self._resumed, t_ns)
            self._resumed = None
        if self._calibrator:
            for update in self._calibrator.updates(t_ns):
                self._use(update, t_ns)
            self._calibrator.send(seen)

    def _used(self, whole: LiftedPose) -> tuple[LiftedPose, tuple[str, ...]]:
        """The views to reconstruct from, and their cameras: moved ones only if no other saw
        enough.
        """
        for left_out in (self._excluded, ()):
            used = whole.arranged(whole.pose.cameras, without=left_out)
            confidence = used.pose.confidence
            if (confidence > 0).sum(-1).max() >= _LEAST_JOINTS:
                rows = zip(used.pose.cameras, confidence, strict=True)
                return used, tuple(camera for camera, row in rows if row.any())
        return whole, ()

    def about(self) -> dict[str, Any] | None:
        """The cameras in the world, for clients."""
        if self.current is None:
            return None
        found = self._ptz.now if self._ptz else self.current.calibration
        rig, uncertainty = found.rig, found.uncertainty
        return {
            "number": self.current.number,
            "scale_source": found.scale_source,
            "cameras": {
                camera: {
                    "centre": rig.centres[v],
                    "view_from_world": rig.view_from_world[v],
                    "focal_px": float(rig.focal_px[v]),
                    "image_px": rig.image_px[v],
                    "position_error": round(float(uncertainty.position_share[v]), 4),
                    "reprojection_px": round(float(uncertainty.reprojection_px[v]), 2),
                    "moved": camera in self._excluded,
                }
                for v, camera in enumerate(rig.cameras)
            },
        }

    def stats(self) -> WorldStats:
        """Of the cameras in the world."""
        if self._calibrator is None:
            return WorldStats(world=None)
        left_out, moves = self._calibrator.left_out, self.moves
        if self.current is None:
            state = WorldState(
                calibration=0,
                waiting_for=self._calibrator.reason,
                survey_left_out=left_out,
                moves=moves,
            )
            return WorldStats(world=state)
        cameras = self.current.calibration.rig.cameras
        recent = self._monitor.recent() if self._monitor else [math.nan] * len(cameras)
        state = WorldState(
            calibration=self.current.number,
            cause=self.current.cause,
            instants=self.current.calibration.instants,
            age_s=round(time.monotonic() - self._found_s, 1),
            scale_source=self.current.calibration.scale_source,
            moved=sorted(self._excluded),
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
        """End the calibrator."""
        if self._calibrator:
            self._calibrator.close()

    def _use(self, update: CalibrationUpdate, t_ns: int) -> None:
        self._number += 1
        self.current = replace(update, t_ns=t_ns, number=self._number)
        calibration = update.calibration
        for camera in update.moved:
            self._moved_s[camera] = t_ns * 1e-9
            self._include(camera, "camera found in its new place")
        for camera in set(self._excluded) - set(calibration.rig.cameras):
            del self._excluded[camera]
        is_panning = calibration.rig.is_panning
        self._ptz = LivePtz(calibration) if is_panning else None
        self._monitor = None if is_panning else ExtrinsicsMonitor(calibration, self._moved_s)
        self._depth = DepthFilter()
        self._found_s = time.monotonic()
        self.changes += 1
        log.info(
            "cameras found",
            extra={
                "calibration": self._number,
                "cause": update.cause,
                "cameras": list(calibration.rig.cameras),
                "instants": calibration.instants,
                "scale_source": calibration.scale_source,
            },
        )
        self._on_update(self.current)

    def _check(self, seen: LiftedPose, joints: Float[Real, "J 3"]) -> None:
        """Exclude a camera that has moved, include one that fits again."""
        monitor = self._monitor
        if monitor is None:
            if self._ptz and self._ptz.lost(seen.t_s):
                self._lose(seen.t_s - _LOST_S)
            return
        moved = monitor.add(seen, joints, self._excluded)
        for camera in [c for c in self._excluded if c in seen.pose.cameras and monitor.fits(c)]:
            self._include(camera, "camera fits again")
        if moved:
            camera, since_s = moved
            self._excluded[camera] = time.monotonic()
            self.moves += 1
            self.changes += 1
            log.warning("camera has moved", extra={"camera": camera})
            if self._calibrator:
                self._calibrator.camera_moved(camera, since_s)
        elif monitor.unclear_s > _LOST_S:
            self._lose(seen.t_s - _LOST_S)

    def _include(self, camera: str, why: str) -> None:
        excluded_s = self._excluded.pop(camera, None)
        if excluded_s is not None:
            self.changes += 1
            after_s = round(time.monotonic() - excluded_s, 2)
            log.warning(why, extra={"camera": camera, "after_s": after_s})

    def _lose(self, since_s: float) -> None:
        """Drop the calibration: the views disagree, and no single camera explains it."""
        log.warning("cameras no longer fit together, looking for all of them")
        self.current = self._monitor = self._ptz = None
        self._excluded.clear()
        self.changes += 1
        if self._calibrator:
            self._calibrator.all_lost(since_s)


def start_world(
    config: HubConfig,
    known: KnownCameras | None,
    session: Path,
    on_update: Callable[[CalibrationUpdate], None],
) -> World:
    """The world by the settings; a restarted hub continues in the world of its session."""
    calibrator: CalibratorClient | KnownCameras | None = known
    if known is None and config.calibrate:
        calibrator = CalibratorClient(config.scale, config.survey_first_s, config.survey_hz)
    world = World(calibrator, on_update)
    if isinstance(calibrator, CalibratorClient) and (session / CAMERAS).exists():
        try:
            world.resume(read_cameras(session / CAMERAS))
        except Refusal as refusal:
            log.warning("previous cameras not read", extra={"reason": str(refusal)})
    return world

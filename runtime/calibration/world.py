"""Skeletons in the world frame, reconstructed with the current calibration.

Without a calibration, skeletons stay in the canonical frame. A moved camera is left out until it is
recovered. No call waits for the calibration process.
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
from cvsf.multiview.calibration import Calibration
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
"""Standard deviation of a joint at which its confidence is half of the lifter's."""
_LEAST_JOINTS = 4  # detected in one view, for a reconstruction
_LOST_S = 2.0
"""How long errors without a single moved camera last until all cameras are calibrated again."""


class World:
    """The current calibration and reconstruction with it; used by the hub's main thread only."""

    def __init__(
        self,
        calibrator: CalibratorClient | KnownCameras | None,
        on_update: Callable[[CalibrationUpdate], None] = lambda update: None,
    ) -> None:
        self._calibrator, self._on_update = calibrator, on_update
        self._monitor: ExtrinsicsMonitor | None = None  # of fixed cameras
        self._ptz: LivePtz | None = None  # of panning cameras
        self._depth = DepthFilter()
        self._excluded: dict[str, float] = {}  # moved camera: when that was detected (monotonic)
        self._moved_s: dict[str, float] = {}  # camera: when it was recovered
        self._calibrated_s = 0.0
        self.current: CalibrationUpdate | None = None
        self._number = 0
        self._resumed: CalibrationUpdate | None = None
        self.moves = 0  # cameras that were detected as moved
        self.changes = 0  # of what `about` returns

    def resume(self, previous: CalibrationUpdate) -> None:
        """Begin with the calibration of the hub that ran before this one: the calibrator gets it at
        once, `reconstruct` uses it from its next call on, with the next number and the cause
        `resumed`.
        """
        self._resumed = replace(previous, cause="resumed", moved=())
        self._number = previous.number
        if self._calibrator:
            self._calibrator.resume(previous.calibration)

    def reconstruct(
        self, pose: MultiviewPose, lifted: Lifted, skeleton: Skeleton
    ) -> Skeleton | None:
        """The skeleton of this instant in the world frame (m). Without a calibration of these
        cameras, the given one, in the canonical frame; None if no view has four joints or a joint
        is not determined. `measured` needs two views, none of them of a moved camera. Each call
        also takes new calibrations, sends the instant to the calibrator, and looks for moved
        cameras; it never waits.
        """
        instant = lifted_pose(pose, lifted, joint_set(skeleton.joint_set))
        self._update_calibration(instant, skeleton.t_ns)
        current = self.current
        if current is None:
            return skeleton
        rig = current.calibration.rig
        if not set(rig.cameras) & set(pose.cameras):
            return skeleton  # a rig of other cameras
        arranged = instant.arranged(rig.cameras)
        used, views = self._used(arranged)
        reconstruction = self._reconstructed(current.calibration, used) if views else None
        if reconstruction is None or not np.isfinite(reconstruction.joints).all():
            return None
        joints, deviation = reconstruction.joints[0], reconstruction.deviation[0]
        root = joints[joint_set(skeleton.joint_set).index("hip")]
        measured = len(views) > 1 and not set(views) & set(self._excluded)
        if measured:
            self._depth.measured(root, instant.t_s)
            self._check(arranged, joints)
        elif len(views) == 1 and not self._ptz:
            centre = rig.centres[rig.cameras.index(views[0])]
            joints = joints + self._depth.shift(root, centre, instant.t_s)
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

    def _update_calibration(self, instant: LiftedPose, t_ns: int) -> None:
        """Receive new calibrations, and send this instant to the calibrator."""
        if self._resumed:
            self._set_calibration(self._resumed, t_ns)
            self._resumed = None
        if self._calibrator:
            for update in self._calibrator.updates(t_ns):
                self._set_calibration(update, t_ns)
            self._calibrator.send(instant)

    def _used(self, arranged: LiftedPose) -> tuple[LiftedPose, tuple[str, ...]]:
        """The views to use, and their cameras; moved ones only if no other has enough joints."""
        for excluded in (self._excluded, ()):
            used = arranged.arranged(arranged.pose.cameras, without=excluded)
            confidence = used.pose.confidence
            if (confidence > 0).sum(-1).max() >= _LEAST_JOINTS:
                rows = zip(used.pose.cameras, confidence, strict=True)
                return used, tuple(camera for camera, row in rows if row.any())
        return arranged, ()

    def about(self) -> dict[str, Any] | None:
        """The cameras for clients: number, scale source, and per camera centre (m, world frame),
        view_from_world, focal length and picture size (px), errors (px, share of the distance), and
        whether it has moved. Panning cameras are as at the last instant; rotations and picture
        sizes are the calibration's own arrays. None without a calibration.
        """
        if self.current is None:
            return None
        calibration = self._ptz.now if self._ptz else self.current.calibration
        rig, uncertainty = calibration.rig, calibration.uncertainty
        return {
            "number": self.current.number,
            "scale_source": calibration.scale_source,
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
        """Number and age of the calibration and the moved cameras, or what is missing for it;
        `world` is None if no cameras are wanted.
        """
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
            age_s=round(time.monotonic() - self._calibrated_s, 1),
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
        """End the calibration process, if there is one; blocks for at most about a second."""
        if self._calibrator:
            self._calibrator.close()

    def _set_calibration(self, update: CalibrationUpdate, t_ns: int) -> None:
        self._number += 1
        self.current = replace(update, t_ns=t_ns, number=self._number)
        calibration = update.calibration
        for camera in update.moved:
            self._moved_s[camera] = t_ns * 1e-9
            self._include(camera, "camera recovered in its new pose")
        for camera in set(self._excluded) - set(calibration.rig.cameras):
            del self._excluded[camera]
        is_panning = calibration.rig.is_panning
        self._ptz = LivePtz(calibration) if is_panning else None
        self._monitor = None if is_panning else ExtrinsicsMonitor(calibration, self._moved_s)
        self._depth = DepthFilter()
        self._calibrated_s = time.monotonic()
        self.changes += 1
        log.info(
            "cameras calibrated",
            extra={
                "calibration": self._number,
                "cause": update.cause,
                "cameras": list(calibration.rig.cameras),
                "instants": calibration.instants,
                "scale_source": calibration.scale_source,
                **({"lenses": dict(calibration.lenses)} if calibration.lenses else {}),
            },
        )
        self._on_update(self.current)

    def _check(self, instant: LiftedPose, joints: Float[Real, "J 3"]) -> None:
        """Exclude a moved camera, include a recovered one."""
        monitor = self._monitor
        if monitor is None:
            if self._ptz and self._ptz.lost(instant.t_s):
                self._drop_calibration(instant.t_s - _LOST_S)
            return
        moved = monitor.add(instant, joints, self._excluded)
        for camera in [c for c in self._excluded if c in instant.pose.cameras and monitor.fits(c)]:
            self._include(camera, "camera recovered in its old pose")
        if moved:
            camera, since_s = moved
            self._excluded[camera] = time.monotonic()
            self.moves += 1
            self.changes += 1
            log.warning("camera has moved", extra={"camera": camera})
            if self._calibrator:
                self._calibrator.camera_moved(camera, since_s)
        elif monitor.unclear_s > _LOST_S:
            self._drop_calibration(instant.t_s - _LOST_S)

    def _include(self, camera: str, why: str) -> None:
        excluded_s = self._excluded.pop(camera, None)
        if excluded_s is not None:
            self.changes += 1
            after_s = round(time.monotonic() - excluded_s, 2)
            log.warning(why, extra={"camera": camera, "after_s": after_s})

    def _drop_calibration(self, since_s: float) -> None:
        """Drop the calibration: the views disagree, and no single moved camera explains it."""
        log.warning("views disagree, all cameras are calibrated again")
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
    """The world, with `known` cameras, or with a calibration process, started here, if the settings
    ask for one. Such a restarted hub begins with `cameras.json` of the session's folder; if that
    cannot be read, it is only logged. `on_update` gets every calibration that comes into use.
    """
    calibrator: CalibratorClient | KnownCameras | None = known
    if known is None and config.calibrate:
        calibrator = CalibratorClient(
            config.scale, config.survey_first_s, config.survey_hz, config.lenses
        )
    world = World(calibrator, on_update)
    if isinstance(calibrator, CalibratorClient) and (session / CAMERAS).exists():
        try:
            world.resume(read_cameras(session / CAMERAS))
        except Refusal as refusal:
            log.warning("previous cameras not read", extra={"reason": str(refusal)})
    return world

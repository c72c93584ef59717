"""Self-calibration and reconstruction of a session in the world frame, its scores and its cost.

The ground truth is used for the scores only.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np

from cvsf.calibration.calibrate import Moving, calibrate
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.world_frame import find_world_frame
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration, to_plain
from cvsf.multiview.triangulation import triangulate
from cvsf.reconstruction.reconstruct import Reconstruction, reconstruct
from train.data.calibration_input import CalibrationInput
from train.evaluation.calibration_errors import (
    Errors,
    bone_spread_mm,
    camera_errors,
    errors_of_canonical,
    errors_of_rig,
    limit,
    mean_of_canonical,
    reprojection_px,
)

T = TypeVar("T")

MOVING = get_args(Moving)
SUCCESS = 1.5
"""Error over the limit (`calibrated_limit`) up to which a session succeeds; a guess, not
measured.
"""
_REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationOptions:
    """The settings of a calibration."""

    scale: Scale
    offsets: bool = False
    distortion: bool = False
    moving: Moving = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationResult:
    """The calibration of one session, its skeletons and its scores."""

    name: str
    duration_s: float
    seconds: float  # of computing: calibration, reconstruction, world frame
    triangulation_s: float  # of computing: one robust triangulation of the same keypoints
    refused: str = ""
    calibration: Calibration | None = None  # in the world frame
    reconstruction: Reconstruction | None = None
    t_s: Any = None
    errors: dict[str, Errors] = field(default_factory=dict)
    cameras: dict[str, Any] = field(default_factory=dict)

    @property
    def over_limit(self) -> float | None:
        """How many times the limit the error of the skeletons is: mean N-MPJPE over scored views of
        instants, over that of triangulation with the true cameras. No unit, 1 is equal; None if one
        of them is not known or has nothing scored, or if the limit's error is 0.
        """
        if "fused" not in self.errors or "calibrated_limit" not in self.errors:
            return None
        ours, best = self.errors["fused"], self.errors["calibrated_limit"]
        return ours.n_mm / best.n_mm * best.count / ours.count if best.n_mm and ours.count else None

    @property
    def succeeded(self) -> bool:
        """Whether it was calibrated and `over_limit` is at most `SUCCESS`. If `over_limit` is None,
        as without ground truth, a calibration is enough.
        """
        over = self.over_limit
        return self.calibration is not None and (over is None or over <= SUCCESS)

    @property
    def badness(self) -> float:
        """By how much the session failed, for a choice of the worst one: the ratio to the limit,
        or, where that is not known, the noise of the keypoints; -1 for a refused one, which cannot
        be drawn.
        """
        return -1.0 if self.calibration is None else self.over_limit or self.calibration.noise_share

    def plain(self) -> dict[str, Any]:
        """The content of `cameras.json`; for panning cameras with `t_s`, the time of each instant
        in seconds. Nothing is written. Only of a session that was calibrated, else AssertionError.
        """
        assert self.calibration is not None
        panning = self.calibration.rig.is_panning
        return to_plain(self.calibration) | ({"t_s": self.t_s.tolist()} if panning else {})

    @property
    def person_id(self) -> Any:
        """The number of the person of each instant (N,), from 0 in the order of coming; -1 where
        there is no skeleton. Only of a session that was calibrated, else AssertionError.
        """
        assert self.reconstruction is not None
        assert self.calibration is not None
        joints, people = self.reconstruction.joints, self.calibration.people
        there = np.isfinite(joints).any((1, 2))
        person = 0 if people is None else people.person_id(self.t_s)
        return np.where(there, person, -1)

    def write_skeletons(self, path: Path) -> None:
        """Write an .npz file in place of one that is there: joints and standard deviations (m,
        world frame), how many views saw each joint, whose each skeleton is (`person_id`), times and
        joint names. Only of a session that was calibrated; OSError if it cannot be written.
        """
        assert self.reconstruction is not None
        assert self.calibration is not None
        np.savez_compressed(
            path,
            joints=self.reconstruction.joints.astype(np.float32),
            deviation=self.reconstruction.deviation.astype(np.float32),
            views_seen=self.reconstruction.views_seen.astype(np.int8),
            person_id=self.person_id.astype(np.int16),
            t_s=self.t_s,
            joint_names=np.array(self.calibration.body.joint_set.joints),
        )


def calibrate_and_score(
    session: CalibrationInput, options: CalibrationOptions
) -> CalibrationResult:
    """The calibration of one session, in the world frame, with its cost and, if there is ground
    truth, its scores. If the motion does not determine the cameras, or the size of pictures or the
    scale is not known, nothing is raised: `refused` has the reason and `calibration` is None. A
    view with too few observations is left out.
    """
    observations, truth = session.observations, session.truth
    errors: dict[str, Errors] = {}
    if truth is not None:
        best = limit(observations, truth)
        errors |= {} if best is None else {"calibrated_limit": best}
        errors["lifter_fused"] = errors_of_canonical(
            observations, session.fused.astype(float), truth
        )
        errors["mean_of_canonical"] = errors_of_canonical(
            observations, mean_of_canonical(observations), truth
        )
    start_s = time.process_time()
    try:
        calibration, reconstruction = _in_world_frame(observations, options)
    except Undetermined as reason:
        return CalibrationResult(
            name=session.name,
            duration_s=session.duration_s,
            seconds=time.process_time() - start_s,
            triangulation_s=0.0,
            refused=str(reason),
            errors=errors,
        )
    seconds = time.process_time() - start_s
    if (
        calibration.rig.cameras != observations.cameras
    ):  # a view with too few observations is left out
        views = [observations.cameras.index(camera) for camera in calibration.rig.cameras]
        observations, truth = (
            observations.of_views(views),
            None if truth is None else truth.of_views(views),
        )
    if truth is not None:
        errors["fused"] = errors_of_rig(observations, calibration, reconstruction, truth)
    cameras: dict[str, Any] = {}
    if truth is not None and truth.rig is not None:
        cameras = camera_errors(calibration, reconstruction, truth)
        cameras["reprojection"] = reprojection_px(observations, calibration, reconstruction, truth)
        cameras["bones"] = bone_spread_mm(reconstruction, truth, cameras["size_mm"])
    return CalibrationResult(
        name=session.name,
        duration_s=session.duration_s,
        seconds=seconds,
        triangulation_s=_triangulation_s(observations, calibration),
        calibration=calibration,
        reconstruction=reconstruction,
        t_s=observations.t_s,
        errors=errors,
        cameras=cameras,
    )


def _in_world_frame(
    observations: LiftedObservations, options: CalibrationOptions
) -> tuple[Calibration, Reconstruction]:
    for camera, size in zip(observations.cameras, observations.size_px, strict=True):
        if not size.all():
            raise Undetermined(f"the size of {camera}'s pictures is not known; give it as image_px")
    calibration = calibrate(
        observations, moving=options.moving, offsets=options.offsets, distortion=options.distortion
    )
    reconstruction = reconstruct(observations, calibration)
    try:
        world_frame = find_world_frame(calibration, reconstruction, options.scale)
    except ValueError as error:  # what gives the scale is not in the observations
        raise Undetermined(str(error)) from error
    return world_frame.calibration(calibration), world_frame.reconstruction(reconstruction)


def _triangulation_s(observations: LiftedObservations, calibration: Calibration) -> float:
    """Computing time of one robust triangulation of the session with known cameras."""
    pixels, confidence = (
        observations.keypoints_px.astype(float),
        observations.confidence.astype(float),
    )
    return _timed(lambda: triangulate(pixels, confidence, calibration.rig.projection))


def _timed(act: Callable[[], T]) -> float:
    times_s = []
    for _ in range(_REPEATS):
        start_s = time.process_time()
        act()
        times_s.append(time.process_time() - start_s)
    return float(np.median(times_s))

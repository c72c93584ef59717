"""Self-calibration and reconstruction of a session in the world frame, its scores and its cost.

The ground truth is used for the scores only.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.world_frame import find_world_frame
from cvsf.diagnosis.attempt import SOUND_RATIO
from cvsf.diagnosis.calibrate_take import CalibratedTake, Moving, calibrate_take
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.multiview.calibration import Calibration, to_plain
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.triangulation import triangulate
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.reconstruction.steady_world import steady_world
from cvsf.session.calibrations import MIRRORED_PICTURES
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
from train.evaluation.take_errors import TakeErrors, errors_of_take, limit_of_take

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
    offsets: bool | None = None  # None: where still cameras do not fit without
    distortion: bool | None = None  # None: where the recording determines it
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
    observations: LiftedObservations | None = None  # of the rig's cameras, corrected, not aligned
    t_s: Any = None
    errors: dict[str, Errors] = field(default_factory=dict)
    cameras: dict[str, Any] = field(default_factory=dict)
    world: dict[str, TakeErrors] = field(default_factory=dict)  # of "fused", "calibrated_limit"
    left_out: Mapping[str, str] = field(default_factory=dict)  # camera: what, and why
    corrected: Mapping[str, str] = field(default_factory=dict)  # camera: what was corrected
    mirrored_back: tuple[str, ...] = ()  # cameras whose pictures are mirrored
    still_noise: float | None = None  # of still cameras, where panning ones were taken

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
    def rooted_over_limit(self) -> float | None:
        """The same of the error after one similarity for the whole take, hips put together."""
        if "fused" not in self.world or "calibrated_limit" not in self.world:
            return None
        best = self.world["calibrated_limit"].rooted_mm
        return self.world["fused"].rooted_mm / best if best else None

    @property
    def worst_over_limit(self) -> float | None:
        """The larger of `over_limit` and, for still cameras only, `rooted_over_limit`: the world of
        panning cameras may drift though the skeletons are right. None if neither is known.
        """
        found = [self.over_limit]
        if self.calibration is not None and not self.calibration.rig.is_panning:
            found.append(self.rooted_over_limit)
        return max((over for over in found if over is not None), default=None)

    @property
    def succeeded(self) -> bool:
        """Whether it was calibrated and `worst_over_limit` is at most `SUCCESS`. If that is None,
        as without ground truth, a calibration is enough.
        """
        over = self.worst_over_limit
        return self.calibration is not None and (over is None or over <= SUCCESS)

    @property
    def badness(self) -> float:
        """By how much the session failed, for a choice of the worst one: the ratio to the limit,
        or, where that is not known, the noise of the keypoints; -1 for a refused one, which cannot
        be drawn.
        """
        return (
            -1.0
            if self.calibration is None
            else self.worst_over_limit or self.calibration.noise_share
        )

    @property
    def standing_out(self) -> dict[str, float]:
        """Cameras whose median reprojection error stands out, and how many times that of the others
        (their median) it is; of three or more cameras.
        """
        if self.calibration is None:
            return {}
        ratio = self.calibration.uncertainty.reprojection_over_others
        names = self.calibration.rig.cameras
        return {n: float(r) for n, r in zip(names, ratio, strict=True) if r > SOUND_RATIO}

    def plain(self) -> dict[str, Any]:
        """The content of `cameras.json`; for panning cameras with `t_s`, the time of each instant
        in seconds. Nothing is written. Only of a session that was calibrated, else AssertionError.
        """
        assert self.calibration is not None
        panning = self.calibration.rig.is_panning
        found: dict[str, Any] = {"left_out": dict(self.left_out), "corrected": dict(self.corrected)}
        found[MIRRORED_PICTURES] = list(self.mirrored_back)
        return to_plain(self.calibration) | found | ({"t_s": self.t_s.tolist()} if panning else {})

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
    result = _before_calibration(session)
    start_s = time.process_time()
    try:
        take = _in_world_frame(observations, options)
    except Undetermined as reason:
        return replace(result, seconds=time.process_time() - start_s, refused=str(reason))
    result = replace(result, seconds=time.process_time() - start_s)
    if truth is not None and take.observations.cameras != observations.cameras:
        views = [observations.cameras.index(camera) for camera in take.observations.cameras]
        truth = truth.of_views(views)
    result = replace(
        result,
        triangulation_s=_triangulation_s(take.observations, take.calibration),
        calibration=take.calibration,
        reconstruction=take.reconstruction,
        observations=take.observations,
        t_s=take.observations.t_s,
        left_out=take.left_out,
        corrected=take.corrected,
        mirrored_back=take.mirrored_back,
        still_noise=take.still_noise,
    )
    return result if truth is None else _scored(result, take.observations, truth)


def _before_calibration(session: CalibrationInput) -> CalibrationResult:
    """The result of a session without a rig: what needs no calibration is scored."""
    observations, truth = session.observations, session.truth
    errors: dict[str, Errors] = {}
    world: dict[str, TakeErrors] = {}
    if truth is not None:
        if (best := limit(observations, truth)) is not None:
            errors["calibrated_limit"] = best
        if (take := limit_of_take(observations, truth)) is not None:
            world["calibrated_limit"] = take
        fused = {
            "lifter_fused": session.fused.astype(float),
            "mean_of_canonical": mean_of_canonical(observations),
        }
        errors |= {n: errors_of_canonical(observations, pose, truth) for n, pose in fused.items()}
    return CalibrationResult(
        name=session.name,
        duration_s=session.duration_s,
        seconds=0.0,
        triangulation_s=0.0,
        errors=errors,
        world=world,
    )


def _scored(
    result: CalibrationResult, observations: LiftedObservations, truth: GroundTruth
) -> CalibrationResult:
    """With the scores of its skeletons, and, where the true cameras are known, of its cameras; the
    observations and the truth have the views of its rig.
    """
    calibration, reconstruction = result.calibration, result.reconstruction
    assert calibration is not None
    assert reconstruction is not None
    ours = errors_of_rig(observations, calibration.rig, reconstruction, truth)
    take = errors_of_take(observations, calibration.rig, reconstruction, truth)
    cameras: dict[str, Any] = {}
    if truth.rig is not None:
        cameras = camera_errors(calibration.rig, reconstruction, truth)
        cameras["reprojection"] = reprojection_px(observations, calibration, reconstruction, truth)
        cameras["bones"] = bone_spread_mm(reconstruction, truth, cameras["size_mm"])
    return replace(
        result,
        errors=result.errors | {"fused": ours},
        world=result.world | ({} if take is None else {"fused": take}),
        cameras=cameras,
    )


def _in_world_frame(
    observations: LiftedObservations, options: CalibrationOptions
) -> CalibratedTake:
    take = calibrate_take(
        observations, moving=options.moving, offsets=options.offsets, distortion=options.distortion
    )
    try:
        world_frame = find_world_frame(take.calibration, take.reconstruction, options.scale)
    except ValueError as error:  # what gives the scale is not in the observations
        why = [f"{camera}: {reason}" for camera, reason in take.left_out.items()]
        raise Undetermined("; ".join([str(error), *why])) from error
    calibration, reconstruction = steady_world(
        world_frame.calibration(take.calibration),
        world_frame.reconstruction(take.reconstruction),
        take.observations.t_s,
    )
    return replace(take, calibration=calibration, reconstruction=reconstruction)


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

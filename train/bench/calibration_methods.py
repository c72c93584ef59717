"""The methods that `cvsf bench calibrate` compares, each with the scores of one session.

Cameras and skeletons of all methods are scored by the same functions.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cvsf.calibration.lenses import WRONG
from cvsf.calibration.metric_scale import Scale
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.intrinsics import Intrinsics
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Rig
from cvsf.multiview.triangulation import triangulate
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.shapes import Real
from train.bench.run_humancalib import PeerResult, run_humancalib
from train.data.calibration_input import CalibrationInput
from train.evaluation.calibrate_and_score import CalibrationOptions, calibrate_and_score
from train.evaluation.calibration_errors import (
    Errors,
    camera_errors,
    errors_of_rig,
    limit,
    triangulated,
)
from train.evaluation.take_errors import TakeErrors, errors_of_take, limit_of_take

WRONG_SHARE = 0.05
"""By how much the wrong focal lengths are off."""
TOLD_NOTHING, TOLD, TOLD_WRONG, TRUE_CAMERAS, HUMANCALIB, HUMANCALIB_RIG = (
    "cvsf",
    "cvsf, focal lengths given",
    f"cvsf, focal lengths {100 * WRONG_SHARE:.0f} % wrong",
    "triangulation with true cameras",
    "humancalib",
    "humancalib, our triangulation",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A session with ground truth, as one number of views shows it."""

    session: CalibrationInput
    truth: GroundTruth
    """With joints and true cameras that stand still."""
    rig: Rig
    """The true cameras."""
    is_long: bool
    """Whether the wrong focal lengths are too long, else too short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of one method on one session."""

    rotation_deg: tuple[float, ...] = ()
    """By how much the rotation from one camera to another is off, one a pair."""
    centre_share: tuple[float, ...] = ()
    """Distances of the cameras from the true ones, over the largest of two true ones."""
    errors: Errors | None
    take: TakeErrors | None
    seconds: float
    """Computing time."""
    is_noticed: bool | None = None
    """Whether the result says that a given lens does not fit; None where none is given."""


Method = Callable[[Case], Mapping[str, Scores | None]]
"""The scores of its rows; None if it gave no cameras."""


def methods(humancalib: Path | None) -> tuple[Method, ...]:
    """All methods; HumanCalib's is there if the Python of its environment is named."""
    found = [_told_nothing, _told, _told_wrong, _with_true_cameras]
    if humancalib is not None:
        found.append(lambda case: _peer(case, humancalib))
    return tuple(found)


def true_intrinsics(rig: Rig, factor: float = 1.0) -> Intrinsics:
    """Those of the true cameras, with focal lengths `factor` times as long."""
    focal_px = np.median(rig.focal_px, axis=0) if rig.is_panning else rig.focal_px
    return Intrinsics(
        focal_px=factor * focal_px, centre_px=rig.centre_px, distortion=rig.distortion
    )


def says_wrong(calibration: Calibration) -> bool:
    """Whether the calibration says that a given lens does not fit."""
    return any(said.startswith(_SAID) for said in calibration.lenses.values())


_SAID = WRONG.partition("{")[0]


def _told_nothing(case: Case) -> dict[str, Scores | None]:
    return {TOLD_NOTHING: _ours(case, None)}


def _told(case: Case) -> dict[str, Scores | None]:
    return {TOLD: _ours(case, true_intrinsics(case.rig))}


def _told_wrong(case: Case) -> dict[str, Scores | None]:
    factor = 1 + WRONG_SHARE if case.is_long else 1 - WRONG_SHARE
    return {TOLD_WRONG: _ours(case, true_intrinsics(case.rig, factor))}


def _ours(case: Case, given: Intrinsics | None) -> Scores | None:
    """The scores of `cvsf calibrate` with its defaults."""
    observations = replace(case.session.observations, intrinsics=given)
    found = calibrate_and_score(
        replace(case.session, observations=observations), CalibrationOptions(scale=Scale())
    )
    if found.calibration is None:
        return None
    return Scores(
        rotation_deg=tuple(found.cameras["rotation_deg"].tolist()),
        centre_share=tuple(found.cameras["centres"].tolist()),
        errors=found.errors["fused"],
        take=found.world.get("fused"),
        seconds=found.seconds,
        is_noticed=None if given is None else says_wrong(found.calibration),
    )


def _with_true_cameras(case: Case) -> dict[str, Scores | None]:
    observations, truth = case.session.observations, case.truth
    start_s = time.process_time()
    triangulated(observations, truth)
    seconds = time.process_time() - start_s
    errors, take = limit(observations, truth), limit_of_take(observations, truth)
    return {TRUE_CAMERAS: Scores(errors=errors, take=take, seconds=seconds)}


def _peer(case: Case, python: Path) -> dict[str, Scores | None]:
    """HumanCalib's cameras with its own skeletons, and with those of our triangulation."""
    observations = case.session.observations
    found = run_humancalib(python, observations, case.rig)
    if found is None:
        return {HUMANCALIB: None, HUMANCALIB_RIG: None}
    confidence = observations.confidence.astype(float)
    start_s = time.process_time()
    joints = triangulate(observations.keypoints_px.astype(float), confidence, found.rig.projection)
    seconds = found.seconds + time.process_time() - start_s
    robust = np.asarray(joints, float)
    return {
        HUMANCALIB: _scores(case, found, found.joints, found.seconds),
        HUMANCALIB_RIG: _scores(case, found, robust, seconds),
    }


def _scores(case: Case, found: PeerResult, joints: Real, seconds: float) -> Scores:
    reconstruction = _reconstruction(case.session.observations, joints)
    cameras = camera_errors(found.rig, reconstruction, case.truth)
    scored = case.session.observations, found.rig, reconstruction, case.truth
    return Scores(
        rotation_deg=tuple(cameras["rotation_deg"].tolist()),
        centre_share=tuple(cameras["centres"].tolist()),
        errors=errors_of_rig(*scored),
        take=errors_of_take(*scored),
        seconds=seconds,
    )


def _reconstruction(observations: LiftedObservations, joints: Real) -> Reconstruction:
    """Joints of others as a reconstruction, without what only ours says."""
    seen = (observations.confidence > 0).sum(1)
    return Reconstruction(
        joints=joints,
        deviation=np.full(joints.shape[:-1], np.nan),
        views_seen=seen.astype(np.intp),
        residual_share=np.full(observations.confidence.shape[:2], np.nan),
    )

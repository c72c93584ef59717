"""The input of `cvsf calibrate`, one session at a time: lifted observations, and ground truth.

It is the same for a multi-view file, a recorded session and a clip.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cvsf.engine.engine import Engine
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.multiview.intrinsics import Intrinsics, intrinsics_of
from cvsf.multiview.lens_distortion import COEFFICIENTS
from cvsf.multiview.observations import LiftedObservations, lift_observations
from cvsf.skeleton import Array
from cvsf.system.errors import Refusal
from train.data.clip import is_clip, read_clip
from train.data.instants import Recordings, joined
from train.data.npz import read_file
from train.data.read import Choice
from train.data.sessions import read_session


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationInput:
    """One session: observations for the calibration, and ground truth for the scores."""

    name: str
    observations: LiftedObservations
    fused: Float[Array, "N J 3"]  # fused by the lifter, canonical frame
    truth: GroundTruth | None  # None where no joint is known

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last instant, 0 if there is none."""
        return float(np.ptp(self.observations.t_s)) if len(self.observations) else 0.0


def read_observations(path: Path, chosen: Choice) -> Recordings:
    """All sessions of a multi-view file, a session folder or a clip, in memory, 2D in px. Refusal
    if it is none of them or unreadable, holds no 2D, has none of the chosen subjects, or is a
    folder and subjects are named.
    """
    if path.is_dir() and chosen.names:
        raise Refusal(f"{path} has no subjects; choose subjects of multi-view files only")
    if path.is_dir() and is_clip(path):
        return read_clip(path)
    if path.is_dir():
        stretches = list(read_session(path))
        if not stretches:
            raise Refusal(f"{path} holds no 2D poses; record with --record frames or poses")
        return joined(stretches)
    observations = chosen.learned(read_file(path))
    if not len(observations):
        raise Refusal(f"no instant of {path} is of the chosen subjects; name fewer or others")
    return observations


@dataclass(frozen=True, slots=True)
class IgnoredSeconds:
    """A view is not used from `start_s` to before `end_s` of a session."""

    view: int
    start_s: float
    end_s: float


def ignored_seconds(words: Sequence[str], cameras: Sequence[str]) -> list[IgnoredSeconds]:
    """What `CAMERA=FROM-TO` (s from the start of a session) says; Refusal if a camera is not there,
    or the seconds are not in order.
    """
    found = []
    for text in words:
        camera, _, span = text.rpartition("=")
        start, _, end = span.partition("-")
        if camera not in cameras:
            raise Refusal(f"--ignore is of {camera!r}, expected one of {', '.join(cameras)}")
        try:
            one = IgnoredSeconds(cameras.index(camera), float(start), float(end))
        except ValueError:
            one = IgnoredSeconds(cameras.index(camera), 0.0, 0.0)
        if not 0 <= one.start_s < one.end_s:
            raise Refusal(f"--ignore is {text!r}, expected CAMERA=FROM-TO in seconds: left=12-14.5")
        found.append(one)
    return found


def calibration_inputs(
    observations: Recordings,
    engine: Engine,
    views: int,
    seconds: float = float("inf"),
    ignored: Sequence[IgnoredSeconds] = (),
    intrinsics: Intrinsics | None = None,
) -> Iterator[CalibrationInput]:
    """One session after another: its first `views` views and first `seconds` (s), sorted by time,
    lifted by the engine as it is iterated. What is ignored has confidence 0. `truth` is None where
    no true joint is known; IndexError if there are fewer views. `intrinsics` are of these views;
    what they do not know is taken from the recordings. Refusal if those are impossible.
    """
    names = np.array(observations.session)
    for name in observations.sessions:
        rows = np.flatnonzero(names == name)
        t_s = observations.t_s[rows]
        rows = rows[np.argsort(t_s, kind="stable")]
        rows = rows[observations.t_s[rows] - t_s.min() <= seconds]
        part = observations.take(rows).of_views(range(views))
        given = recorded_intrinsics(part)
        if intrinsics is not None:
            given = intrinsics if given is None else intrinsics.or_else(given)
        found = _lifted(name, _without(part, ignored), engine)
        yield replace(found, observations=replace(found.observations, intrinsics=given))


def recorded_intrinsics(part: Recordings) -> Intrinsics | None:
    """The intrinsics that a file or a session gives, of each view the first that is known; None if
    it gives none. Refusal if they are impossible.
    """
    found = Intrinsics.unknown(len(part.cameras))
    if part.given_K is None:
        return None
    for view, camera in enumerate(part.cameras):
        rows = np.flatnonzero(np.isfinite(part.given_K[:, view]).all((1, 2)))
        if not len(rows):
            continue
        distortion = np.zeros(COEFFICIENTS)
        if part.given_distortion is not None:
            distortion = np.nan_to_num(part.given_distortion[rows[0], view])
        width, height = (float(side) for side in part.size_px[view])
        try:
            one = intrinsics_of(
                camera, part.given_K[rows[0], view], distortion.tolist(), None, (width, height)
            )
        except ValueError as error:
            raise Refusal(f"given_K: {error}") from None
        found = found.with_view(view, one)
    return found if found.is_known.any() else None


def _without(part: Recordings, ignored: Sequence[IgnoredSeconds]) -> Recordings:
    confidence = part.confidence.copy()
    since_s = part.t_s - part.t_s.min()
    for one in ignored:
        confidence[(since_s >= one.start_s) & (since_s < one.end_s), one.view] = 0
    return replace(part, confidence=confidence)


def _lifted(name: str, part: Recordings, engine: Engine) -> CalibrationInput:
    fused: list[Array] = []

    def lift(*arrays: Array) -> dict[str, Array]:
        lifted = engine.lift_many(*arrays)
        fused.append(lifted["fused"])
        return lifted

    arrays = part.keypoints_px, part.confidence, part.image_px
    joints_mm = part.truth.joints_mm
    known = joints_mm is not None and bool(np.isfinite(joints_mm).any())
    return CalibrationInput(
        name=name,
        observations=lift_observations(lift, engine.joint_set, part.cameras, part.t_s, arrays),
        fused=np.concatenate(fused),
        truth=part.truth if known else None,
    )

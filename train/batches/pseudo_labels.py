"""Pseudo-labels: joints reconstructed with a session's own self-calibrated cameras, no truth used.

A session whose motion does not determine its cameras is left out, counted and named.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.world_frame import find_world_frame
from cvsf.diagnosis.calibrate_take import CalibratedTake, calibrate_take
from cvsf.diagnosis.epipolar_errors import epipolar_errors, outlier_views
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.model.geometry import unit_length
from cvsf.model.keypoint_adapter import Morph
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import Lift, LiftedObservations, lift_observations
from cvsf.multiview.rotation import angle_between
from cvsf.reconstruction.reconstruct import reconstruct
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.data.calibration_input import recorded_intrinsics
from train.data.instants import PseudoLabels, Recordings

log = logging.getLogger(__name__)

_STRETCH = 2000
"""Instants reconstructed at a time: each needs some 20 kB meanwhile. A guess, not measured."""
_LEAST = 10
"""Instants of a person that a camera needs to be calibrated; a guess, not measured."""
_LEAST_FITTING = 0.5
"""Share of a session's instants that its cameras must explain; a guess, not measured."""
_MOST_JOINTS, _FAR_OFF = 0.9, 0.08
"""At least such a share of joints has a residual below that share of the person's extent: one joint
in ten is 1.5 to 2.7 % off in recordings, 15 % with shuffled views (`cvsf bench night`; docs/log.md,
"A poisoned night that was promoted").
"""
_OUT_OF_STEP = 0.5
"""Delay of a view, in intervals of the instants, from which it has no labels; a guess."""
_FASTEST_PAN_DEG = 120.0
"""Degrees a second, in the median: cameras that pan have 5, shuffled views 490 (the same entry)."""
_MOST_OFF = 0.1
"""Of the person's extent: half of an instant's joints must be nearer; a guess, not measured."""


@dataclass(slots=True)
class PseudoLabeller:
    """Makes the pseudo-labels of sessions part by part, and keeps which were left out and why."""

    lift: Lift
    morph: Morph | None = None
    left_out: dict[str, str] = field(default_factory=dict)  # reasons by session
    _found: dict[str, Calibration] = field(default_factory=dict)

    @property
    def labelled(self) -> int:
        """The number of sessions that have pseudo-labels so far."""
        return len(self._found)

    def parts(self, parts: Iterable[Recordings]) -> Iterator[Recordings]:
        """Of every part the instants with pseudo-labels (perhaps none), without the truth; views of
        sessions left out, and views that were not calibrated, have confidence 0. A session's fixed
        cameras are found in its first part that allows it and used for later parts. Sessions left
        out are logged and kept in `left_out`; Refusal at the end if no instant has labels.
        """
        learned = 0
        for part in parts:
            labelled = self._labelled(part)
            learned += len(labelled)
            yield labelled
        self.left_out = {n: why for n, why in self.left_out.items() if n not in self._found}
        if not learned:
            why = next(iter(self.left_out.values()), "no reconstruction fits the observations")
            raise Refusal(
                f"the cameras of no session could be found ({why}); variant stage3 needs one, "
                "learn with baseline or s1s2 instead"
            )
        log.info(
            "sessions pseudo-labelled",
            extra={"labelled": self.labelled, "left_out": len(self.left_out)},
        )

    def _labelled(self, part: Recordings) -> Recordings:
        labels = _no_labels(part)
        names = np.array(part.session)
        used = np.zeros(part.confidence.shape[:2], bool)
        for name in part.sessions:
            rows = np.flatnonzero(names == name)
            try:
                observations = self._observations(part.take(rows))
            except Refusal as impossible:
                self._leave_out(name, str(impossible))
                continue
            calibration = self._calibration(observations, name)
            if calibration is not None:
                views = [observations.cameras.index(camera) for camera in calibration.rig.cameras]
                observations = observations.of_views(views)
                found = _pseudo_labels(observations, calibration)
                if reason := self._unexplained(found, observations, calibration):
                    self._leave_out(name, reason)
                    continue
                for array in fields(found):
                    getattr(labels, array.name)[rows[:, None], views] = getattr(found, array.name)
                used[rows[:, None], views] = _fits(found)[:, None] & ~_outlier(
                    observations, calibration
                )
        confidence = np.where(used[..., None], part.confidence, np.float32(0))
        learned = replace(part, confidence=confidence, truth=GroundTruth(), pseudo_labels=labels)
        return learned.take(np.flatnonzero(used.any(-1)))

    def _unexplained(
        self, labels: PseudoLabels, observations: LiftedObservations, found: Calibration
    ) -> str:
        """Why the calibration does not fit the observations; empty if it does.

        Cameras that may turn from instant to instant fit much that never was: views that are not of
        one time leave many joints far off, and have cameras that turn too fast.
        """
        fits = float(_fits(labels).mean())
        if fits < _LEAST_FITTING:
            return f"the calibration fits {fits:.0%} of its instants"
        off = np.linalg.norm(labels.residual, axis=-1)[observations.confidence > 0]
        near = float((off <= _FAR_OFF).mean())  # a joint without a reconstruction is not near
        if near < _MOST_JOINTS:
            return (
                f"{1 - near:.0%} of its joints are off by more than {_FAR_OFF:.0%} of the person's "
                "size, whatever the cameras; its views are not of one person at one time"
            )
        pan_deg = _turn_deg_per_s(observations, found)
        if not pan_deg <= _FASTEST_PAN_DEG:
            return f"its cameras would have to turn by {pan_deg:.0f} degrees a second"
        return ""

    def _calibration(self, observations: LiftedObservations, name: str) -> Calibration | None:
        found = self._found.get(name)
        if found is not None and not found.rig.is_panning and found.people is None:
            return found  # cameras that pan did so then, and people came then
        try:
            if not observations.size_px.all():
                raise Undetermined("the size of its pictures is not known")
            detected = np.any(observations.confidence > 0, axis=-1).sum(0)
            if (views := np.flatnonzero(detected >= _LEAST)).size < 2:
                raise Undetermined(f"no two cameras observed a person {_LEAST} times")
            self._found[name] = _upright(observations.of_views(views.tolist()))
        except Undetermined as reason:
            self._leave_out(name, str(reason))
            return None
        return self._found[name]

    def _leave_out(self, name: str, reason: str) -> None:
        """Keep why a session is not trained on, and log it once."""
        self._found.pop(name, None)
        if name not in self.left_out:
            log.warning(
                "session left out: its cameras were not found",
                extra={"session": name, "reason": reason},
            )
        self.left_out[name] = reason

    def _observations(self, part: Recordings) -> LiftedObservations:
        """The observations in the lifter's joints, lifted."""
        keypoints, confidence = part.keypoints_px, part.confidence
        if self.morph is not None:
            with torch.no_grad():
                morphed = self.morph(
                    *(torch.from_numpy(np.array(array)) for array in (keypoints, confidence))
                )
            keypoints, confidence = morphed[0].numpy(), morphed[1].numpy()
        arrays = keypoints, confidence, part.image_px
        found = lift_observations(self.lift, H36M_16, part.cameras, part.t_s, arrays)
        return replace(found, intrinsics=recorded_intrinsics(part))


def _turn_deg_per_s(observations: LiftedObservations, found: Calibration) -> float:
    """How fast cameras that pan turn, in the median over successive instants."""
    if not found.rig.is_panning or len(observations) < 2:
        return 0.0
    rotation = found.rig.view_from_world
    lasted_s = np.maximum(np.diff(observations.t_s), 1e-6)
    return float(np.median(angle_between(rotation[1:], rotation[:-1]) / lasted_s[:, None]))


def _no_labels(part: Recordings) -> PseudoLabels:
    shape = part.confidence.shape
    return PseudoLabels(
        joints=np.zeros((*shape, 3), np.float32),
        deviation=np.zeros(shape, np.float32),
        residual=np.zeros((*shape, 2), np.float32),
        up=np.zeros((*shape[:2], 3), np.float32),
        focal_px=np.zeros(shape[:2], np.float32),
    )


def _upright(observations: LiftedObservations) -> Calibration:
    """The session's cameras in a world with z up, where the athlete's trunk and leg are 1."""
    found = _without_delays(observations, calibrate_take(observations))
    views = [observations.cameras.index(camera) for camera in found.rig.cameras]
    observations = observations.of_views(views)
    chosen = np.linspace(0, len(observations) - 1, min(len(observations), _STRETCH))
    some, then = _of(np.unique(chosen.astype(np.int64)), observations, found)
    reconstructed = reconstruct(some, then)
    try:
        here = find_world_frame(then, reconstructed, Scale())
    except ValueError as error:
        raise Undetermined(str(error)) from error
    joints = torch.from_numpy(here.points(reconstructed.joints))
    unit = float(unit_length(joints, H36M_16).nanmedian())
    return replace(here, scale=here.scale / unit, shift=here.shift / unit).calibration(found)


def _without_delays(observations: LiftedObservations, take: CalibratedTake) -> Calibration:
    """The take's cameras without those that show another time than their stamps: a label would be
    of another instant than its keypoints; nor those whose pictures are mirrored. Undetermined if
    fewer than two are left, or views were exchanged.
    """
    mirrored = take.mirrored_back
    for camera, what in take.corrected.items():
        if camera not in mirrored:
            raise Undetermined(f"{camera} was {what}")
    delay_s = take.calibration.rig.delay_s
    names = take.calibration.rig.cameras
    usable = np.abs(delay_s) < _OUT_OF_STEP * observations.interval_s
    views = [view for view in np.flatnonzero(usable).tolist() if names[view] not in mirrored]
    if len(views) < 2:
        raise Undetermined("no two of its cameras are in step and not mirrored")
    return take.calibration.of_views(views)


def _pseudo_labels(observations: LiftedObservations, found: Calibration) -> PseudoLabels:
    """Of all instants, stretch by stretch; each person's trunk and leg together are 1."""
    stretches = np.array_split(np.arange(len(observations)), -(-len(observations) // _STRETCH))
    parts = [_in_views(*_of(rows, observations, found)) for rows in stretches]
    names = [f.name for f in fields(PseudoLabels)]
    arrays = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    labels = PseudoLabels(**arrays)
    if found.people is None:
        return labels
    joints, deviation = labels.joints.copy(), labels.deviation.copy()
    person = found.people.person_id(observations.t_s)
    for number in np.unique(person):
        own = person == number
        unit = unit_length(torch.from_numpy(joints[own, 0]), H36M_16).nanmedian().numpy()
        joints[own] /= unit
        deviation[own] /= unit
    return replace(labels, joints=joints, deviation=deviation)


def _fits(labels: PseudoLabels) -> npt.NDArray[np.bool_]:
    """Instants (N,) whose joints are complete and have a low reprojection error."""
    off = np.linalg.norm(labels.residual, axis=-1).reshape(len(labels.residual), -1)
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.isfinite(labels.joints).all((1, 2, 3)) & (np.median(off, -1) < _MOST_OFF)
        )


def _outlier(observations: LiftedObservations, found: Calibration) -> npt.NDArray[np.bool_]:
    """Views of instants (N, V) that do not agree with the others, as of another person."""
    return outlier_views(epipolar_errors(observations, found.rig), observations.t_s)


def _of(
    rows: npt.NDArray[np.int64], observations: LiftedObservations, found: Calibration
) -> tuple[LiftedObservations, Calibration]:
    """Some instants, and the cameras as they were then."""
    return observations.take(rows), found.rows(rows)


def _in_views(observations: LiftedObservations, found: Calibration) -> PseudoLabels:
    reconstructed, rig = reconstruct(observations, found), found.rig
    shape = observations.confidence.shape
    projected = rig.project(reconstructed.joints)
    residual = (observations.keypoints_px - projected) / extent(projected)[..., None, None]
    in_views: tuple[npt.NDArray[np.float64], ...] = (
        rig.in_views(reconstructed.joints),
        np.broadcast_to(reconstructed.deviation[:, None], shape),
        np.where(observations.confidence[..., None] > 0, residual, 0.0),
        np.broadcast_to(rig.view_from_world[..., 2], (*shape[:2], 3)),
        np.broadcast_to(rig.focal_px, shape[:2]),
    )
    joints, deviation, residual, up, focal_px = (array.astype(np.float32) for array in in_views)
    return PseudoLabels(
        joints=joints, deviation=deviation, residual=residual, up=up, focal_px=focal_px
    )


def extent(
    keypoints: Float[npt.NDArray[np.floating], "*batch J 2"],
) -> Float[npt.NDArray[np.floating], "*batch"]:
    """The person's extent: diagonal of the box around all joints, in the keypoints' unit; NaN if a
    joint is NaN. Confidence is not considered.
    """
    return np.asarray(np.linalg.norm(np.ptp(keypoints, axis=-2), axis=-1))

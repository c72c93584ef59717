"""Sessions placed in space by what their own cameras saw: a target to learn from, without a label.

A session whose motion does not determine its cameras is left out, counted and named.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.world_frame import find_world_frame
from cvsf.model.geometry import unit_length
from cvsf.model.keypoint_adapter import Morph
from cvsf.multiview.observations import Lift, LiftedObservations, lift_observations
from cvsf.multiview.rig import Calibration
from cvsf.reconstruction.reconstruct import reconstruct
from cvsf.skeleton import H36M_16, Array
from cvsf.system.errors import Refusal
from train.data.instants import Instants, Placement, Truth

log = logging.getLogger(__name__)

_STRETCH = 2000
"""Instants placed at a time: they need some 20 kB each meanwhile."""
_LEAST = 10
"""Instants of a person that make a camera worth finding."""
_LEAST_FITTING = 0.5
_MOST_JOINTS, _FAR_OFF = 0.9, 0.08
"""So many joints are nearer than that where cameras are right: recordings have 0.015 to 0.03."""
_FASTEST_PAN_DEG = 120.0  # a second, in the median
_MOST_OFF = 0.1
"""Of the person's extent: half of the joints farther off are another person, or no calibration."""


@dataclass(slots=True)
class Placer:
    """Places sessions as they come; what became of them can be asked afterwards."""

    lift: Lift
    morph: Morph | None = None
    left_out: dict[str, str] = field(default_factory=dict)  # sessions, and why
    _found: dict[str, Calibration] = field(default_factory=dict)

    @property
    def placed(self) -> int:
        """How many sessions were."""
        return len(self._found)

    def parts(self, parts: Iterable[Instants]) -> Iterator[Instants]:
        """Of every part what could be placed; Refusal at the end if that is nothing."""
        learned = 0
        for part in parts:
            placed = self._placed(part)
            learned += len(placed)
            yield placed
        self.left_out = {n: why for n, why in self.left_out.items() if n not in self._found}
        if not learned:
            why = next(iter(self.left_out.values()), "nobody fits what was seen of them")
            raise Refusal(
                f"the cameras of no session could be found ({why}); variant stage3 needs one, "
                "learn with baseline or s1s2 instead"
            )
        log.info("sessions placed", extra={"placed": self.placed, "left_out": len(self.left_out)})

    def _placed(self, part: Instants) -> Instants:
        found = _nothing(part)
        names = np.array(part.session)
        used = np.zeros(part.confidence.shape[:2], bool)
        for name in part.sessions:
            rows = np.flatnonzero(names == name)
            observations = self._observations(part.take(rows))
            calibration = self._calibration(observations, name)
            if calibration is not None:
                views = [observations.cameras.index(camera) for camera in calibration.rig.cameras]
                seen = observations.of_views(views)
                placement = _placement(seen, calibration)
                if reason := self._explains(placement, seen, calibration):
                    self._leave_out(name, reason)
                    continue
                for whole, one in zip(found, placement, strict=True):
                    whole[rows[:, None], views] = one
                used[rows[:, None], views] = _fits(placement)[:, None]
        confidence = np.where(used[..., None], part.confidence, np.float32(0))
        learned = replace(part, confidence=confidence, truth=Truth(), placed=Placement(*found))
        return learned.take(np.flatnonzero(used.any(-1)))

    def _explains(
        self, placement: tuple[Array, ...], seen: LiftedObservations, found: Calibration
    ) -> str:
        """Why the cameras found are not those of what was seen; nothing where they are.

        Cameras that may turn from instant to instant explain much that never was: views that are
        not of one time leave many joints far off, and have cameras whirl.
        """
        fits = float(_fits(placement).mean())
        if fits < _LEAST_FITTING:
            return f"the cameras found explain {fits:.0%} of its instants"
        off = np.linalg.norm(placement[2], axis=-1)[seen.confidence > 0]
        near = float((off <= _FAR_OFF).mean())  # what was placed nowhere is not
        if near < _MOST_JOINTS:
            return (
                f"{1 - near:.0%} of its joints are off by more than {_FAR_OFF:.0%} of the person's "
                "size, whatever the cameras; its views are not of one person at one time"
            )
        whirl_deg = _turn_deg_per_s(seen, found)
        if not whirl_deg <= _FASTEST_PAN_DEG:
            return f"its cameras would have to turn by {whirl_deg:.0f} degrees a second"
        return ""

    def _calibration(self, observations: LiftedObservations, name: str) -> Calibration | None:
        found = self._found.get(name)
        if found is not None and not found.rig.is_panning:
            return found  # cameras that pan did so then
        try:
            if not observations.size_px.all():
                raise Undetermined("the size of its pictures is not known")
            saw = np.any(observations.confidence > 0, axis=-1).sum(0)
            if (views := np.flatnonzero(saw >= _LEAST)).size < 2:
                raise Undetermined(f"no two cameras saw somebody {_LEAST} times")
            self._found[name] = _upright(observations.of_views(views.tolist()))
        except Undetermined as reason:
            self._leave_out(name, str(reason))
            return None
        return self._found[name]

    def _leave_out(self, name: str, reason: str) -> None:
        """Note why a session teaches nothing, and say it once."""
        self._found.pop(name, None)
        if name not in self.left_out:
            log.warning(
                "session left out: its cameras were not found",
                extra={"session": name, "reason": reason},
            )
        self.left_out[name] = reason

    def _observations(self, part: Instants) -> LiftedObservations:
        """What the views saw, in the lifter's joints."""
        views = range(part.confidence.shape[1])
        pixels = part.keypoints_px, part.confidence
        if self.morph is not None:
            with torch.no_grad():
                morphed = self.morph(*(torch.from_numpy(np.array(array)) for array in pixels))
            pixels = morphed[0].numpy(), morphed[1].numpy()
        return lift_observations(
            self.lift,
            H36M_16,
            part.cameras or tuple(f"cam{view}" for view in views),
            part.t_s,
            (*pixels, part.image_px),
        )


def _turn_deg_per_s(seen: LiftedObservations, found: Calibration) -> float:
    """How fast cameras that pan turn, in the median over successive instants."""
    if not found.rig.is_panning or len(seen) < 2:
        return 0.0
    turns = found.rig.view_from_world
    between = np.einsum("nvij,nvkj->nvik", turns[1:], turns[:-1])
    cosine = (np.trace(between, axis1=-2, axis2=-1) - 1) / 2
    lasted_s = np.maximum(np.diff(seen.t_s), 1e-6)
    return float(np.median(np.degrees(np.arccos(cosine.clip(-1, 1))) / lasted_s[:, None]))


def _nothing(part: Instants) -> tuple[Array, ...]:
    shape = part.confidence.shape
    sizes = ((*shape, 3), shape, (*shape, 2), (*shape[:2], 4))
    return tuple(np.zeros(size, np.float32) for size in sizes)


def _upright(observations: LiftedObservations) -> Calibration:
    """The session's cameras in a world with z up, where the athlete's trunk and leg are 1."""
    found = calibrate(observations, moving="auto")
    chosen = np.linspace(0, len(observations) - 1, min(len(observations), _STRETCH)).astype(
        np.int64
    )
    seen, then = _of(np.unique(chosen), observations, found)
    placed = reconstruct(seen, then)
    try:
        here = find_world_frame(then, placed, Scale())
    except ValueError as error:
        raise Undetermined(str(error)) from error
    joints = torch.from_numpy(here.points(placed.joints))
    unit = float(unit_length(joints, H36M_16).nanmedian())
    return replace(here, scale=here.scale / unit, shift=here.shift / unit).calibration(found)


def _placement(observations: LiftedObservations, found: Calibration) -> tuple[Array, ...]:
    """The arrays of a Placement, stretch by stretch."""
    stretches = np.array_split(np.arange(len(observations)), -(-len(observations) // _STRETCH))
    parts = [_in_views(*_of(rows, observations, found)) for rows in stretches]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _fits(placement: tuple[Array, ...]) -> npt.NDArray[np.bool_]:
    """Instants (N,) that are whole and shown about where they were seen."""
    joints, _, residual, _ = placement
    off = np.linalg.norm(residual, axis=-1).reshape(len(residual), -1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(joints).all((1, 2, 3)) & (np.median(off, -1) < _MOST_OFF))


def _of(
    rows: npt.NDArray[np.int64], observations: LiftedObservations, found: Calibration
) -> tuple[LiftedObservations, Calibration]:
    """Some instants, and the cameras as they were then."""
    return observations.take(rows), found.rows(rows)


def _in_views(observations: LiftedObservations, found: Calibration) -> tuple[Array, ...]:
    """The arrays of a Placement."""
    placed, rig = reconstruct(observations, found), found.rig
    shape = observations.confidence.shape
    shown = rig.project(placed.joints)
    apart = (observations.keypoints_px - shown) / extent(shown)[..., None, None]
    camera = np.concatenate([rig.view_from_world[..., 2], rig.focal_px[..., None]], -1)
    arrays: tuple[npt.NDArray[np.float64], ...] = (
        rig.in_views(placed.joints),
        np.broadcast_to(placed.deviation[:, None], shape),
        np.where(observations.confidence[..., None] > 0, apart, 0.0),
        np.broadcast_to(camera, (*shape[:2], 4)),
    )
    return tuple(array.astype(np.float32) for array in arrays)


def extent(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The diagonal of the box around the joints (..., J, 2)."""
    return np.asarray(np.linalg.norm(np.ptp(pixels, axis=-2), axis=-1))

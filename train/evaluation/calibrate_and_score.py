"""A session calibrated, placed and stood upright; what came of it and what that cost.

The truth is looked at afterwards only.
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
    limit,
    mean_of_canonical,
    of_cameras,
    of_canonical,
    of_rig,
    reprojection_px,
)

T = TypeVar("T")

MOVING = get_args(Moving)
SUCCESS = 1.5  # of its own calibrated limit
_REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    scale: Scale
    offsets: bool = False
    distortion: bool = False
    moving: Moving = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one session."""

    name: str
    duration_s: float
    seconds: float  # of computing: calibration, placing, standing
    triangulation_s: float  # of computing: one robust triangulation of the same
    refused: str = ""
    found: Calibration | None = None  # upright, metres
    placed: Reconstruction | None = None
    t_s: Any = None
    errors: dict[str, Errors] = field(default_factory=dict)
    cameras: dict[str, Any] = field(default_factory=dict)

    @property
    def over_limit(self) -> float | None:
        """Its fused error over that of true cameras."""
        if "fused" not in self.errors or "calibrated_limit" not in self.errors:
            return None
        ours, best = self.errors["fused"], self.errors["calibrated_limit"]
        return ours.n_mm / best.n_mm * best.count / ours.count if best.n_mm and ours.count else None

    @property
    def succeeded(self) -> bool:
        """Calibrated, and where there is a truth no worse than it may be."""
        over = self.over_limit
        return self.found is not None and (over is None or over <= SUCCESS)

    @property
    def badness(self) -> float:
        """Larger is worse; a refused session has nothing to look at."""
        return -1.0 if self.found is None else self.over_limit or self.found.noise_share

    def plain(self) -> dict[str, Any]:
        """What `cameras.json` holds; cameras that pan come with the instants they are of."""
        assert self.found is not None
        panning = self.found.rig.is_panning
        return to_plain(self.found) | ({"t_s": self.t_s.tolist()} if panning else {})

    def write_skeletons(self, path: Path) -> None:
        """World joints in metres, their deviation and how many views saw them."""
        assert self.placed is not None
        assert self.found is not None
        np.savez_compressed(
            path,
            joints=self.placed.joints.astype(np.float32),
            deviation=self.placed.deviation.astype(np.float32),
            views_seen=self.placed.views_seen.astype(np.int8),
            t_s=self.t_s,
            joint_names=np.array(self.found.body.joint_set.joints),
        )


def solve(filmed: CalibrationInput, order: Order) -> Outcome:
    """One session; scored if there is a truth."""
    seen, real = filmed.observations, filmed.truth
    errors: dict[str, Errors] = {}
    if real is not None:
        best = limit(seen, real)
        errors |= {} if best is None else {"calibrated_limit": best}
        errors["lifter_fused"] = of_canonical(seen, filmed.fused.astype(float), real)
        errors["mean_of_canonical"] = of_canonical(seen, mean_of_canonical(seen), real)
    begun = time.process_time()
    try:
        found, placed = _upright(seen, order)
    except Undetermined as reason:
        return Outcome(
            name=filmed.name,
            duration_s=filmed.duration_s,
            seconds=time.process_time() - begun,
            triangulation_s=0.0,
            refused=str(reason),
            errors=errors,
        )
    seconds = time.process_time() - begun
    if found.rig.cameras != seen.cameras:  # one saw hardly anybody
        views = [seen.cameras.index(camera) for camera in found.rig.cameras]
        seen, real = seen.of_views(views), None if real is None else real.of_views(views)
    if real is not None:
        errors["fused"] = of_rig(seen, found, placed, real)
    cameras: dict[str, Any] = {}
    if real is not None and real.rig is not None:
        cameras = of_cameras(found, placed, real)
        cameras["reprojection"] = reprojection_px(seen, found, placed, real)
        cameras["bones"] = bone_spread_mm(placed, real, cameras["size_mm"])
    return Outcome(
        name=filmed.name,
        duration_s=filmed.duration_s,
        seconds=seconds,
        triangulation_s=_triangulation_s(seen, found),
        found=found,
        placed=placed,
        t_s=seen.t_s,
        errors=errors,
        cameras=cameras,
    )


def _upright(seen: LiftedObservations, order: Order) -> tuple[Calibration, Reconstruction]:
    for camera, size in zip(seen.cameras, seen.size_px, strict=True):
        if not size.all():
            raise Undetermined(f"the size of {camera}'s pictures is not known; give it as image_px")
    found = calibrate(seen, moving=order.moving, offsets=order.offsets, distortion=order.distortion)
    placed = reconstruct(seen, found)
    try:
        here = find_world_frame(found, placed, order.scale)
    except ValueError as error:  # what should scale it was not seen
        raise Undetermined(str(error)) from error
    return here.calibration(found), here.reconstruction(placed)


def _triangulation_s(seen: LiftedObservations, found: Calibration) -> float:
    """What one robust triangulation of the session takes, with cameras that are known."""
    pixels, confidence = seen.keypoints_px.astype(float), seen.confidence.astype(float)
    return _timed(lambda: triangulate(pixels, confidence, found.rig.projection))


def _timed(act: Callable[[], T]) -> float:
    taken = []
    for _ in range(_REPEATS):
        begun = time.process_time()
        act()
        taken.append(time.process_time() - begun)
    return float(np.median(taken))

"""A session calibrated, placed and stood upright, what that cost, and many of them in figures.

A refused session is a failure; its figures are in no mean, and its reason is in the report.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np

from cvsf.calibrate import Moving, calibrate
from cvsf.place import Placed, place
from cvsf.rig import Calibration, to_plain
from cvsf.sightings import Sightings
from cvsf.sure import Undetermined
from cvsf.triangulate import triangulate
from cvsf.upright import Scale, footing, move, stood
from train.filmed import Filmed
from train.score_rigs import (
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
WITHIN = 2.0
LONG_S = 3.0
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
    placed: Placed | None = None
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

    def plain(self) -> dict[str, Any]:
        """What `cameras.json` holds; cameras that pan come with the instants they are of."""
        assert self.found is not None
        panning = self.found.rig.focal_px.ndim > 1
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


def solve(filmed: Filmed, order: Order) -> Outcome:
    """One session; scored if there is a truth."""
    seen, real = filmed.sightings, filmed.real
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
    if real is not None:
        errors["fused"] = of_rig(seen, found, placed, real)
    cameras: dict[str, Any] = {}
    if real is not None and real.cameras is not None:
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


def _upright(seen: Sightings, order: Order) -> tuple[Calibration, Placed]:
    found = calibrate(seen, moving=order.moving, offsets=order.offsets, distortion=order.distortion)
    placed = place(seen, found)
    try:
        here = footing(found, placed, order.scale)
    except ValueError as error:  # what should scale it was not seen
        raise Undetermined(str(error)) from error
    return stood(found, here), move(placed, here)


def _triangulation_s(seen: Sightings, found: Calibration) -> float:
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


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The keys of `cvsf calibrate`; errors are means over views and instants, focal and centre
    errors medians over cameras and sessions.
    """
    calibrated = [outcome for outcome in outcomes if outcome.found is not None]
    long = [outcome for outcome in outcomes if outcome.duration_s >= LONG_S]
    facts: dict[str, Any] = {
        "sessions": len(outcomes),
        "sessions_calibrated_share": _share([o.succeeded for o in outcomes]),
        "sessions_of_3_s": len(long),
        "sessions_of_3_s_calibrated_share": _share([o.succeeded for o in long]),
        "refused": {o.name: o.refused for o in outcomes if o.found is None},
        "failed": {
            o.name: round(o.over_limit, 2)
            for o in calibrated
            if not o.succeeded and o.over_limit is not None
        },
        "scale_source": sorted({o.found.scale_source for o in calibrated if o.found is not None}),
        "seconds_per_session": _rounded(np.mean([o.seconds for o in outcomes])),
        "triangulation_seconds_per_session": None,
        "seconds_over_triangulation": None,
    }
    if calibrated:
        spent = sum(o.seconds for o in calibrated), sum(o.triangulation_s for o in calibrated)
        facts["triangulation_seconds_per_session"] = _rounded(spent[1] / len(calibrated))
        facts["seconds_over_triangulation"] = _rounded(spent[0] / max(spent[1], 1e-9))
    if any(o.errors for o in outcomes):
        facts |= _scores(outcomes, calibrated)
    return facts


def _scores(outcomes: Sequence[Outcome], calibrated: Sequence[Outcome]) -> dict[str, Any]:
    """Errors over the sessions that were calibrated; what true cameras give over all, beside."""
    facts: dict[str, Any] = {
        name: _pooled(calibrated, name)
        for name in ("fused", "calibrated_limit", "lifter_fused", "mean_of_canonical")
    }
    over = [o.over_limit for o in calibrated if o.over_limit is not None]
    facts["within_2_share"] = (
        sum(ratio <= WITHIN for ratio in over) / len(outcomes) if over else None
    )
    facts["fused_over_limit_median"] = _rounded(np.median(over)) if over else None
    facts["all_sessions"] = {  # a refused one keeps what the lifter alone makes of it
        "fused": _means([o.errors.get("fused", o.errors["lifter_fused"]) for o in outcomes]),
        "calibrated_limit": _pooled(outcomes, "calibrated_limit"),
    }
    scored = [o.cameras for o in calibrated if o.cameras]
    return facts | (_camera_scores(scored) if scored else {})


def _camera_scores(scored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the sessions whose true cameras are known."""
    focal, centre = np.concatenate([c["focal"] for c in scored]), [c["centre"] for c in scored]
    return {
        "focal_error_median": _rounded(np.median(focal)),
        "focal_error_mean": _rounded(np.mean(focal)),
        "centre_error_share": _rounded(np.median(centre)),
        "centre_error_share_mean": _rounded(np.mean(centre)),
        "reprojection_px": _medians([c["reprojection"] for c in scored]),
        "bone_spread_mm": {
            bone: _medians([c["bones"][bone] for c in scored]) for bone in scored[0]["bones"]
        },
    }


def _medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(float(np.median([f[name] for f in found])), 2) for name in found[0]}


def _pooled(outcomes: Sequence[Outcome], name: str) -> dict[str, float | None]:
    return _means([o.errors[name] for o in outcomes if name in o.errors])


def _means(errors: Sequence[Errors]) -> dict[str, float | None]:
    return sum(errors, Errors(n_mm=0.0, p_mm=0.0, count=0)).means


def _share(marks: Sequence[bool]) -> float | None:
    return round(sum(marks) / len(marks), 4) if marks else None


def _rounded(value: Any) -> float:
    return round(float(value), 4)

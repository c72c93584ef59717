"""Delays of cameras from canonical poses alone, before any camera is known.

Two views that show the same moment have the same canonical pose; the cost of a pair of views over
time shifts is lowest at the difference of their delays.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.shapes import Float, Int
from cvsf.skeleton import Array

Real = npt.NDArray[np.float64]

REACH_S = 5.0
"""Largest difference of two views' delays that is searched."""
_ROWS = 128  # instants of one view that are compared; a guess, not measured
# guesses, not measured, down to _APART
_OUTLIER = 0.2  # distance of two joints of poses of norm 1; the cost is cut there
_PER_SECOND = 0.005  # more cost for a second of delay: of repeats the least is taken
_LEAST_OVERLAP = 0.3  # of the weight of the best-observed shift; a guess, not measured
_ROUNDS = 6
_IN_STEP = 1  # shifts; views so near to each other are in step
_OTHERS = 3  # other minima of each view
_APART = 6  # shifts between two different minima
_LEAST_VALLEY = 0.98
"""Lowest cost over the lowest elsewhere, above which a delay is not accepted. Right answers have
0.86 to 0.97, wrong ones 0.96 to 0.99, measured on generated sessions of 8 s and longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalDelays:
    """Delays of V views, and how clearly the poses say so."""

    delay_s: Float[Real, "V"]
    """The largest group of views in step, or the first view, has 0."""
    valley: Float[Real, "V"]
    """Lowest cost of a view over its lowest cost elsewhere; a small one is a clear delay."""
    other_s: Float[Real, "V K"]
    """Other delays of low cost of each view, the lowest first; a movement that repeats has some."""
    agreement: Float[Real, "V"]
    """Mean cost of a view with the others at these delays: distance of joints, poses of norm 1."""
    agreement_in_step: Float[Real, "V"]
    """The same without any delay."""
    cost_ratio: float
    """Mean cost of all pairs at these delays over that without any."""

    @property
    def is_clear(self) -> npt.NDArray[np.bool_]:
        """Which views (V) have a delay that the poses support clearly."""
        return np.asarray(self.valley < _LEAST_VALLEY)


def canonical_delays(observations: LiftedObservations, reach_s: float = REACH_S) -> CanonicalDelays:
    """The delays of least total cost over all pairs of views, to one interval of the instants.

    `reach_s` bounds the difference of two views. Instants are taken as evenly spaced, at their
    median interval. ValueError for fewer than two instants.
    """
    if len(observations) < 2:
        raise ValueError(f"{len(observations)} instants have no interval, expected two or more")
    interval_s = max(observations.interval_s, 1e-3)
    reach = max(1, min(round(reach_s / interval_s), len(observations) - 1))
    cost = _pair_costs(observations, reach, interval_s)
    views = len(observations.cameras)
    tries = [_descend(cost, _first_shifts(cost, start, reach), reach) for start in range(views)]
    shifts = min(tries, key=lambda tried: _total(cost, tried, reach))
    curves = np.stack([_curve(cost, shifts, view, reach) for view in range(views)])
    change = np.abs(np.arange(-2 * reach, 2 * reach + 1))
    lowest, away = curves[:, 2 * reach], np.where(change >= _APART, curves, np.inf).min(1)
    gauge = in_step(shifts, _IN_STEP)
    none = np.zeros(views, int)
    others = np.stack([_other_minima(curve, reach) for curve in curves])
    return CanonicalDelays(
        delay_s=np.asarray(interval_s * (shifts - gauge), float),
        other_s=np.asarray(interval_s * (shifts[:, None] + others - gauge), float),
        valley=np.where(np.isfinite(away), lowest / np.maximum(away, 1e-9), 1.0),
        agreement=lowest,
        agreement_in_step=np.array(
            [_curve(cost, none, view, reach)[2 * reach] for view in range(views)]
        ),
        cost_ratio=_total(cost, shifts, reach) / max(_total(cost, none, reach), 1e-9),
    )


def unit_poses(observations: LiftedObservations) -> Float[Array, "N V J 3"]:
    """The canonical poses at norm 1; the body frame stays."""
    pose = observations.canonical.astype(np.float32)
    return np.asarray(
        pose / np.maximum(np.sqrt(np.square(pose).sum((-2, -1), keepdims=True)), 1e-9)
    )


def in_step(delays: Float[Real, "V"] | Int[npt.NDArray[np.intp], "V"], within: float) -> float:
    """The delay of the largest group of views whose delays differ by at most `within` from one of
    them; of the first view if no two are in step. In the unit of the delays.
    """
    near = np.abs(np.subtract.outer(delays, delays)) <= within
    best = int(near.sum(1).argmax())
    return float(np.median(delays[near[best]]))


def _pair_costs(
    observations: LiftedObservations, reach: int, interval_s: float
) -> Float[Real, "V V S"]:
    """Mean cost of each ordered pair at shifts -reach to reach: the second view's instants are that
    much later. NaN where too little overlaps.
    """
    pose = unit_poses(observations)
    weight = np.sqrt(observations.confidence.astype(np.float32))
    instants, views = weight.shape[:2]
    rows = np.unique(np.linspace(0, instants - 1, min(_ROWS, instants)).round().astype(int))
    shifts = np.arange(-reach, reach + 1)
    cost = np.full((views, views, len(shifts)), np.nan)
    other = rows + shifts[:, None]
    inside = (other >= 0) & (other < instants)
    other = np.clip(other, 0, instants - 1)
    for a in range(views):
        for b in range(a + 1, views):
            total, mass = np.zeros(len(shifts)), np.zeros(len(shifts))
            for i, row in enumerate(rows):
                away = np.sqrt(np.square(pose[row, a] - pose[other[:, i], b]).sum(-1))
                both = np.minimum(weight[row, a], weight[other[:, i], b]) * inside[:, i, None]
                total += (both * np.minimum(away, _OUTLIER)).sum(1)
                mass += both.sum(1)
            enough = mass > _LEAST_OVERLAP * max(float(mass.max()), 1e-9)
            mean = total / np.maximum(mass, 1e-9) * (1 + _PER_SECOND * interval_s * np.abs(shifts))
            cost[a, b] = np.where(enough, mean, np.nan)
            cost[b, a] = cost[a, b, ::-1]
    return cost


def _first_shifts(
    cost: Float[Real, "V V S"], start: int, reach: int
) -> Int[npt.NDArray[np.intp], "V"]:
    """Delays in shifts, by the lowest cost of each view's pair with one view."""
    filled = np.where(np.isfinite(cost[start]), cost[start], np.inf)
    shifts = reach - filled.argmin(-1)  # a later instant of the other view is a smaller delay
    shifts[start] = 0
    return np.asarray(shifts)


def _descend(
    cost: Float[Real, "V V S"], shifts: Int[npt.NDArray[np.intp], "V"], reach: int
) -> Int[npt.NDArray[np.intp], "V"]:
    """Coordinate descent: each view in turn takes the delay of least mean cost with the others."""
    shifts = shifts.copy()
    for _ in range(_ROUNDS):
        before = shifts.copy()
        for view in range(len(shifts)):
            curve = _curve(cost, shifts, view, reach)
            if np.isfinite(curve).any():
                shifts[view] += int(curve.argmin()) - 2 * reach
        if (shifts == before).all():
            break
    return shifts


def _curve(
    cost: Float[Real, "V V S"], shifts: Int[npt.NDArray[np.intp], "V"], view: int, reach: int
) -> Float[Real, "T"]:
    """Mean cost of a view with the others, over changes of its delay from -2 to 2 reaches; infinite
    where it overlaps with fewer than half of them.
    """
    others = np.delete(np.arange(len(shifts)), view)
    between = shifts[others, None] - shifts[view] - np.arange(-2 * reach, 2 * reach + 1)
    at = np.clip(between + reach, 0, 2 * reach)
    found = np.where(np.abs(between) <= reach, cost[others[:, None], view, at], np.nan)
    known = np.isfinite(found)
    mean = np.where(known, found, 0).sum(0) / np.maximum(known.sum(0), 1)
    return np.asarray(np.where(2 * known.sum(0) >= len(others), mean, np.inf))


def _other_minima(curve: Float[Real, "T"], reach: int) -> Int[npt.NDArray[np.intp], "K"]:
    """Changes of a delay to the lowest costs elsewhere, each apart from those before."""
    left = curve.copy()
    change = np.arange(-2 * reach, 2 * reach + 1)
    left[np.abs(change) < _APART] = np.inf
    found = []
    for _ in range(_OTHERS):
        best = int(change[int(left.argmin())]) if np.isfinite(left).any() else 0
        found.append(best)
        left[np.abs(change - best) < _APART] = np.inf
    return np.array(found)


def _total(cost: Float[Real, "V V S"], shifts: Int[npt.NDArray[np.intp], "V"], reach: int) -> float:
    """Mean cost of all pairs at some delays; a pair that does not overlap costs the most."""
    between = np.subtract.outer(shifts, shifts)
    at = np.clip(between + reach, 0, 2 * reach)
    views = np.arange(len(shifts))
    found = cost[views[:, None], views, at]
    pairs = ~np.eye(len(shifts), dtype=bool)
    usable = (np.abs(between) <= reach) & np.isfinite(found)
    return float(np.where(usable, found, _OUTLIER)[pairs].mean())

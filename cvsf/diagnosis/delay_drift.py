"""Delays that change during a take: frames that are missing, or a rate that is not what the stamps
say.
"""

import numpy as np
import numpy.typing as npt

from cvsf.diagnosis.canonical_delays import REACH_S, unit_poses
from cvsf.multiview.observations import LiftedObservations

Real = npt.NDArray[np.float64]

_ROWS = 128  # instants that are compared; a guess, not measured
_OUTLIER = 0.2  # distance of two joints of poses of norm 1; the cost is cut there
# guesses, not measured
_RATES = np.linspace(-0.15, 0.15, 31)  # seconds a second
_LEAST_RATE = 0.02
_GAIN = 0.95
"""Lowest cost at a growing delay over that at a constant one. Generated sessions with a constant
delay have 0.98 to 1.00, also with another person in between; a film that lost 10 % of its frames
0.65 to 0.98."""
_GAIN_OF_TWO, _FAST_RATE, _FAST_GAIN = 0.97, 0.05, 0.99
"""The same of two views, which have little else that shows it; and at a rate that 130 generated
takes of two views with a constant delay never had (0.04 at most), but all 50 in which a film lost
10 % of its frames (0.07 to 0.15)."""
_NEAR_S = 0.2  # of the delay that was found: farther off is another movement; a guess
_LEAST_OVERLAP = 0.5  # of the instants; a guess, not measured


def changed_delay(
    observations: LiftedObservations, view: int, *, of_two: bool = False
) -> tuple[float, float] | None:
    """The delays (s) of a view at the first and the last instant against the mean canonical pose of
    the others, if a delay that grows evenly costs clearly less than a constant one; else None.
    Rates below 0.02 s a second are not found: `residual_delays` shows 59.94 taken for 60 (0.001).

    `of_two`: the observations are what is used of two views, aligned by the delay that was found,
    so the limits are finer about that delay.
    """
    cost, weight, shifts, rows, interval_s = _costs(observations, view)
    steps = rows - rows.mean()
    found = []
    for rate in _RATES:
        at = np.arange(len(shifts))[:, None] + np.round(rate * steps).astype(int)
        inside = (at >= 0) & (at < len(shifts))
        index = np.arange(len(rows)), np.clip(at, 0, len(shifts) - 1)
        total, mass = ((array[index] * inside).sum(1) for array in (cost, weight))
        enough = mass > _LEAST_OVERLAP * weight.max(1).sum()
        mean = np.where(enough, total / np.maximum(mass, 1e-9), np.inf)
        best = int(mean.argmin())
        found.append((float(mean[best]), float(rate), -float(shifts[best]) * interval_s))
    constant = min(found, key=lambda each: abs(each[1]))[0]
    least, rate, middle_s = min(found)
    gain = _GAIN
    if of_two and abs(middle_s) < _NEAR_S:
        gain = _GAIN_OF_TWO if abs(rate) < _FAST_RATE else _FAST_GAIN
    if not np.isfinite(constant) or least >= gain * constant or abs(rate) < _LEAST_RATE:
        return None
    half_s = rate * interval_s * float(np.ptp(rows)) / 2
    return middle_s + half_s, middle_s - half_s


def _costs(
    observations: LiftedObservations, view: int
) -> tuple[Real, Real, npt.NDArray[np.intp], npt.NDArray[np.intp], float]:
    """Weighted costs and weights of M instants of the others against the view S shifts later
    (M, S), the shifts (S), the instants (M), and the interval (s).
    """
    instants, views = observations.confidence.shape[:2]
    interval_s = max(observations.interval_s, 1e-3)
    pose, confidence = unit_poses(observations), np.sqrt(observations.confidence)
    others = [other for other in range(views) if other != view]
    weight = confidence[:, others, :, None]
    mean = (weight * pose[:, others]).sum(1) / np.maximum(weight.sum(1), 1e-6)
    rows = np.unique(np.linspace(0, instants - 1, min(_ROWS, instants)).round().astype(int))
    reach = max(1, min(round(REACH_S / interval_s), instants - 1))
    shifts = np.arange(-reach, reach + 1)
    cost, total = np.zeros((len(rows), len(shifts))), np.zeros((len(rows), len(shifts)))
    for i, row in enumerate(rows):
        later = row + shifts
        inside = (later >= 0) & (later < instants)
        later = np.clip(later, 0, instants - 1)
        away = np.sqrt(np.square(mean[row] - pose[later, view]).sum(-1))
        both = np.minimum(weight[row, ..., 0].max(0), confidence[later, view]) * inside[:, None]
        cost[i], total[i] = (both * np.minimum(away, _OUTLIER)).sum(1), both.sum(1)
    return cost, total, shifts, rows, interval_s

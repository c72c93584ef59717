"""The athlete's track, held to the ground by the feet: a foot that bears weight stands still.

Cameras that pan place the athlete with an error of some 0.2 m that changes within a second, but the
body itself is right to 1 cm. So while a foot stands, the body's motion about it is the motion of
the athlete (zero-velocity update, as in foot-mounted navigation). A swinging or sliding foot is an
outlier of a redescending kernel (Geman and McClure 1987).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.reconstruction.block_tridiagonal import Factor, Rows, factorise
from cvsf.shapes import Bool, Float, Int
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]
Index = Int[npt.NDArray[np.intp], "P"]

LAG_S = 0.1
"""Interval in which a foot stands or moves, and between the knots of the correction."""
_BLOCK = 20  # knots; a pair or a triple of instants spans at most 9
_ROLL = 0.055
"""Speed of a standing ankle over that of the body: the foot rolls forward. Measured on the true
joints of 17 recorded motions: 0.05 to 0.06 in most of those that walk or run."""
# measured with 13 recordings (10 s, six generated panning cameras) of people who are not scored
_STANDING_M = 0.02  # the standard deviation of a standing foot's motion in LAG_S
_STEP_M = 0.1  # the same of the place error's change in LAG_S
_PLACE_M = 1.3  # the same of the place error, at each knot alone
_ACCELERATION = 4.0  # m/s^2, of the athlete
# guesses, not measured
_HEIGHT_M = 0.05  # a foot that is higher than the other by that does not bear the weight
_FIRST_M, _FALLING, _LAST = 0.08, 8, 4
"""Graduated non-convexity: the first sigma, and the rounds with falling and with the last one."""
_KERNEL = 3.0
_SMOOTH_S = 0.05
_LEAST_PAIRS = 12
_DRAWS = 24
_MOST_M, _MOST_SHARE = 0.25, 0.25
"""The largest RMS correction, and its share of the track's spread; 50 recordings had 0.7 of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackCorrection:
    """What has to be added to all points of an instant."""

    shift: Float[Real, "N 3"]
    drawn: Float[Real, "K N 3"]
    """Errors that the shift may have, drawn from its covariance."""


def correct_track(
    t_s: Float[Real, "N"], joints: Float[Real, "N J 3"], joint_set: JointSet
) -> TrackCorrection | None:
    """The correction of joints in metres, z up, in order of time; NaN is not known. None if too few
    instants are close in time. The heights are only smoothed. Where standing feet would move the
    track farther than the cameras can be wrong (a treadmill, slow gliding), it is only smoothed.
    """
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(joints).all((1, 2)))
    interval_s = float(np.median(np.diff(t_s[known]))) if known.sum() > 1 else 0.0
    pairs = _later(t_s, known)
    if not 0 < interval_s <= LAG_S or len(pairs[0]) < _LEAST_PAIRS:
        return None
    root = np.where(known[:, None], joints.mean(1), 0.0)
    smooth = _smoothed(t_s, root, known, interval_s)
    at = _Knots.of(t_s)
    overlap = min(interval_s / LAG_S, 1.0)  # of an interval of LAG_S and the next one
    fixed, pull = _priors(t_s, smooth[:, :2], pairs, at, overlap)
    feet = joints[:, [joint_set.index(f"{side}ankle") for side in "lr"]]
    body = (1 - _ROLL) * (smooth[pairs[1]] - smooth[pairs[0]])[:, :2]
    about = (feet - root[:, None])[..., :2]
    moved = body[:, None] + about[pairs[1]] - about[pairs[0]]
    bears = overlap * np.minimum(*(_bearing(feet[end, :, 2]) for end in pairs))
    standing = at.difference(pairs, 1 - _ROLL)
    factor, correction = _held(fixed, pull, standing, moved, bears)
    by_feet = at.rows.apply(correction)
    if _spread(by_feet[known]) > _MOST_M + _MOST_SHARE * _spread(smooth[known, :2]):
        factor = factorise(fixed, at.count, _BLOCK)
        by_feet = np.zeros_like(by_feet)
    shift = np.where(known[:, None], smooth - root, 0.0)
    shift[:, :2] += by_feet
    return TrackCorrection(shift=shift, drawn=_drawn(factor, at))


def _held(
    fixed: tuple[Rows, ...],
    pull: Float[Real, "K 2"],
    standing: Rows,
    moved: Float[Real, "P F 2"],
    bears: Float[Real, "P F"],
) -> tuple[Factor, Float[Real, "K 2"]]:
    """The correction at the knots with which standing feet stand, by IRLS, and the factor of its
    information. `moved` is how far each foot moved without it, `bears` its share of the weight.
    """
    knots = len(pull)
    correction = np.zeros_like(pull)
    for sigma in (*np.geomspace(_FIRST_M, _STANDING_M, _FALLING), *[_STANDING_M] * _LAST):
        left = moved + standing.apply(correction)[:, None]
        weight = bears / np.square(1 + np.square(left / sigma).sum(-1) / _KERNEL)
        weight /= _STANDING_M**2
        scaled = np.sqrt(weight.sum(1))[:, None] * standing.values
        factor = factorise((*fixed, Rows(columns=standing.columns, values=scaled)), knots, _BLOCK)
        toward = (weight[..., None] * moved).sum(1)
        correction = factor.solve(pull - standing.transposed_apply(toward, knots))
    return factor, correction


def _spread(places: Float[Real, "N 2"]) -> float:
    """RMS distance from their mean."""
    return float(np.sqrt(np.square(places - places.mean(0)).sum(-1).mean()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Knots:
    """The linear interpolation of knots at the instants."""

    count: int
    rows: Rows

    @classmethod
    def of(cls, t_s: Float[Real, "N"]) -> "_Knots":
        place = (t_s - t_s[0]) / LAG_S
        before = place.astype(int)
        share = (place - before)[:, None]
        columns = before[:, None] + np.arange(2)
        rows = Rows(columns=columns, values=np.concatenate([1 - share, share], 1))
        return cls(count=int(before[-1]) + 2, rows=rows)

    def difference(self, pairs: tuple[Index, Index], factor: float) -> Rows:
        """`factor` times the later minus the earlier instant of each pair."""
        earlier, later = pairs
        columns = np.concatenate([self.rows.columns[later], self.rows.columns[earlier]], 1)
        values = np.concatenate([self.rows.values[later], -self.rows.values[earlier]], 1)
        return Rows(columns=columns, values=factor * values)


def _later(t_s: Float[Real, "N"], known: Bool[npt.NDArray[np.bool_], "N"]) -> tuple[Index, Index]:
    """Pairs of known instants that are some LAG_S apart, at most twice that."""
    rows = np.flatnonzero(known)
    after = np.searchsorted(t_s[rows], t_s[rows] + 0.95 * LAG_S)
    inside = after < len(rows)
    earlier, later = rows[inside], rows[after[inside]]
    near = t_s[later] - t_s[earlier] <= 2 * LAG_S
    return earlier[near], later[near]


def _smoothed(
    t_s: Float[Real, "N"],
    values: Float[Real, "N 3"],
    known: Bool[npt.NDArray[np.bool_], "N"],
    interval_s: float,
) -> Float[Real, "N 3"]:
    """The weighted mean of each instant and those of its neighbours in time that are known on both
    sides, so that a steady motion stays as it is (Gaussian).
    """
    total, mean = np.ones(len(values)), values.copy()
    for step in range(1, min(int(np.ceil(3 * _SMOOTH_S / interval_s)), (len(values) - 1) // 2) + 1):
        inner = slice(step, -step)
        before_s, after_s = t_s[inner] - t_s[: -2 * step], t_s[2 * step :] - t_s[inner]
        weight = np.exp(-0.5 * np.square(np.maximum(before_s, after_s) / _SMOOTH_S))
        weight *= known[: -2 * step] & known[2 * step :]
        total[inner] += 2 * weight
        mean[inner] += weight[:, None] * (values[: -2 * step] + values[2 * step :])
    return np.asarray(mean / total[:, None])


def _bearing(height: Float[Real, "P 2"]) -> Float[Real, "P 2"]:
    """The share of the weight that each foot bears, from the heights of the two."""
    share = np.exp(-(height - height.min(1, keepdims=True)) / _HEIGHT_M)
    return np.asarray(share / share.sum(1, keepdims=True))


def _priors(
    t_s: Float[Real, "N"],
    smooth: Float[Real, "N 2"],
    pairs: tuple[Index, Index],
    at: _Knots,
    overlap: float,
) -> tuple[tuple[Rows, ...], Float[Real, "K 2"]]:
    """Rows of a small correction that changes slowly and of a small acceleration of the corrected
    track, and their right side.
    """
    knots = at.count
    each = np.arange(knots)[:, None]
    level = Rows(columns=each, values=np.full((knots, 1), 1 / _PLACE_M))
    change = Rows(
        columns=each[:-1] + np.arange(2),
        values=np.tile([-1 / _STEP_M, 1 / _STEP_M], (knots - 1, 1)),
    )
    after = np.full(len(t_s), -1)
    after[pairs[0]] = pairs[1]
    first, middle = pairs[0][after[pairs[1]] >= 0], pairs[1][after[pairs[1]] >= 0]
    last = after[middle]
    before_s, after_s = t_s[middle] - t_s[first], t_s[last] - t_s[middle]
    # the change of velocity between two intervals, over the time between their middles
    sigma = _ACCELERATION * (before_s + after_s) / 2 / np.sqrt(overlap)
    one, other = at.difference((first, middle), 1.0), at.difference((middle, last), 1.0)
    values = [-one.values / before_s[:, None], other.values / after_s[:, None]]
    columns = np.concatenate([one.columns, other.columns], 1)
    bent = Rows(columns=columns, values=np.concatenate(values, 1) / sigma[:, None])
    before, later = (
        (smooth[end] - smooth[start]) / time_s[:, None]
        for start, end, time_s in ((first, middle, before_s), (middle, last, after_s))
    )
    pull = -bent.transposed_apply((later - before) / sigma[:, None], knots)
    return (level, change, bent), pull


def _drawn(factor: Factor, at: _Knots) -> Float[Real, "K N 3"]:
    """Errors of the shift, drawn from the covariance of the correction; always the same ones."""
    normal = np.random.default_rng(0).normal(size=(factor.unknowns, 2 * _DRAWS))
    error = at.rows.apply(factor.sample(normal)).reshape(len(at.rows.columns), _DRAWS, 2)
    drawn = np.zeros((_DRAWS, len(error), 3))
    drawn[..., :2] = error.transpose(1, 0, 2)
    return drawn

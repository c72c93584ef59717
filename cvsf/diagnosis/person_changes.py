"""Who is before the cameras at which time, from the size of the triangulated body.

One person has the same bone lengths all the time; where all bones change at once, another person
has come. Only people of clearly different size are distinguished.
"""

import warnings
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import Observations
from cvsf.multiview.residuals import bones_of
from cvsf.multiview.rig import Rig
from cvsf.multiview.triangulation import triangulate
from cvsf.shapes import Float, Int

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

LEAST_CHANGE = 0.12
"""Least difference of two people's sizes (natural logarithm). Two spans of one person differ by
less; figures are in docs/accuracy.md."""
_SAMPLES = 96  # instants looked at first; a guess, not measured
_LEAST_SAMPLES, _LEAST_S = 6, 1.0  # that a span has; guesses, not measured
_AGREEMENT, _STEADINESS = 1.25, 5.0
"""Least difference of two people's sizes over the scatter between the bones, as a body that grows
in one direction alone is an error of depth; and over that of one person's size in time. Guesses,
not measured."""
_LEAST_BONES = 4  # of an instant that gives a size; a guess, not measured
_SAME_S = 0.3  # of two times of a change; a guess, not measured
_WINDOW = 5  # samples of the running median; a guess, not measured
_PENALTY = 4.0
"""Cost of one more span, in squared differences of `LEAST_CHANGE`; a guess, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSpans:
    """Spans of time, and whose they are."""

    change_s: Float[Real, "K"]
    """Times at which another person begins, ascending."""
    person: Int[Index, "K+1"]
    """Of each span; numbered in the order of coming, who comes back has the same number."""

    def person_id(self, t_s: Float[Real, "N"]) -> Int[Index, "N"]:
        """The number of the person at each time (s), also where nobody was observed."""
        return self.person[np.searchsorted(self.change_s, t_s, side="right")]

    def is_like(self, other: Self) -> bool:
        """Whether the same people come in the same order, at nearly the same times."""
        return len(self.person) == len(other.person) and bool(
            (self.person == other.person).all()
            and (np.abs(self.change_s - other.change_s) < _SAME_S).all()
        )


def find_person_spans(
    observations: Observations, rig: Rig, *, least: float = LEAST_CHANGE
) -> PersonSpans | None:
    """The spans of time of different people; None if the body has one size all the time.

    The rig stands still; its cameras are those of the observations, in their order. People whose
    log sizes differ by less than `least` are taken for one, and so is who stays for less than a
    second.
    """
    several = np.flatnonzero((observations.confidence > 0).any(-1).sum(1) > 1)
    if len(several) < 2 * _LEAST_SAMPLES:
        return None
    at = np.linspace(0, len(several) - 1, min(_SAMPLES, len(several))).round().astype(int)
    rows = several[np.unique(at)]
    bones = _log_bones(observations.take(rows), rig)
    usual = _median(bones)
    size = _log_sizes(bones, usual)
    known = np.isfinite(size)
    rows, size, bones = rows[known], size[known], bones[known]
    if len(rows) < 2 * _LEAST_SAMPLES:
        return None
    t_s = observations.t_s[rows]
    samples = max(_LEAST_SAMPLES, int(_LEAST_S * len(rows) / max(np.ptp(t_s), 1e-9)))
    begins = constant_spans(_running_median(size), samples, least)
    parts = np.split(size, begins)
    level = np.array([np.median(part) for part in parts])
    person = people_of_levels(level, np.array([len(part) for part in parts]), least)
    person = _agreed(person, np.split(bones, begins), parts)
    changes = []
    for k in np.flatnonzero(np.diff(person)):
        first, last = max(begins[k] - _WINDOW, 0), min(begins[k] + _WINDOW, len(rows)) - 1
        between = several[(several >= rows[first]) & (several <= rows[last])]
        sizes = _log_sizes(_log_bones(observations.take(between), rig), usual)
        cut = _best_cut(sizes, level[k], level[k + 1])
        changes.append(observations.t_s[between[[cut - 1, cut]]].mean())
    if not changes or (np.diff(changes) < _LEAST_S / 2).any():
        return None  # sizes that go to and fro are not people
    kept = np.append(True, np.diff(person) != 0)
    return PersonSpans(change_s=np.array(changes), person=person[kept])


def constant_spans(
    values: Float[Real, "N"], samples: int = _LEAST_SAMPLES, least: float = LEAST_CHANGE
) -> Index:
    """Where the spans of constant value begin, without 0: the division of least squared error plus
    a penalty a span (optimal partitioning, Jackson et al. 2005). Every span has `samples` values or
    more; the penalty is that of values which differ by `least`.
    """
    count, penalty = len(values), _PENALTY * least**2
    total = np.concatenate([[0.0], np.cumsum(values)])
    square = np.concatenate([[0.0], np.cumsum(np.square(values))])
    lowest = np.full(count + 1, np.inf)
    lowest[0] = -penalty
    previous = np.zeros(count + 1, int)
    for end in range(samples, count + 1):
        begin = np.arange(end - samples + 1)
        error = square[end] - square[begin] - np.square(total[end] - total[begin]) / (end - begin)
        cost = lowest[begin] + error + penalty
        previous[end] = int(cost.argmin())
        lowest[end] = cost[previous[end]]
    begins, at = [], count
    while previous[at] > 0:
        at = int(previous[at])
        begins.append(at)
    return np.array(begins[::-1], int)


def people_of_levels(
    level: Float[Real, "K"], count: Int[Index, "K"], least: float = LEAST_CHANGE
) -> Int[Index, "K"]:
    """The person of each span, from the spans' log sizes and numbers of samples. The two nearest
    sizes are made one, weighted by their samples, until all differ by `least`.
    """
    group = np.arange(len(level))
    while True:
        names = np.unique(group)
        middle = np.array(
            [np.average(level[group == name], weights=count[group == name]) for name in names]
        )
        order = middle.argsort()
        gap = np.diff(middle[order])
        if not len(gap) or gap.min() >= least:
            break
        nearest = int(gap.argmin())
        group[group == names[order[nearest + 1]]] = names[order[nearest]]
    return _renumbered(group)


def _agreed(
    person: Int[Index, "K"], bones: list[Float[Real, "_ B"]], sizes: list[Float[Real, "_"]]
) -> Int[Index, "K"]:
    """The people of the spans after those whose bones do not all differ alike, or whose sizes are
    not steady, were made one.
    """
    person, more = person.copy(), True
    while more:
        more = False
        for pair in combinations(np.unique(person), 2):
            spans = [np.flatnonzero(person == one) for one in pair]
            usual = [_median(np.concatenate([bones[k] for k in one])) for one in spans]
            change = (usual[1] - usual[0])[np.isfinite(usual[1] - usual[0])]
            difference = float(np.median(change)) if len(change) else 0.0
            scatter = _deviation(change) if len(change) else 0.0
            unsteady = max(_deviation(np.concatenate([sizes[k] for k in one])) for one in spans)
            if abs(difference) <= max(_AGREEMENT * scatter, _STEADINESS * unsteady):
                person[spans[1]], more = pair[0], True
                break
    return _renumbered(person)


def _deviation(values: Float[Real, "N"]) -> float:
    """The median absolute deviation from the median."""
    return float(np.median(np.abs(values - np.median(values))))


def _renumbered(group: Int[Index, "K"]) -> Int[Index, "K"]:
    """The groups numbered in the order of coming."""
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(first.argsort().argsort()[number], np.intp)


def _log_bones(observations: Observations, rig: Rig) -> Float[Real, "N B"]:
    """Logarithms of the triangulated bones' lengths; NaN where an end is not known."""
    keypoints = rig.undistorted(observations.keypoints_px.astype(float))
    joints = triangulate(keypoints, observations.confidence.astype(float), rig.projection)
    parent, child = (list(ends) for ends in zip(*observations.joint_set.bones, strict=True))
    length = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
    return np.asarray(np.log(np.maximum(length, 1e-9)))


def bone_lengths(observations: Observations, rig: Rig) -> Float[Real, "M"]:
    """Medians of the triangulated bones of one person, in the unit of the rig, left and right
    averaged; one that was never triangulated is as long as the mean of the others.
    """
    bones = bones_of(observations.joint_set)
    length = np.exp(_median(_log_bones(observations, rig)))
    known = np.isfinite(length)
    total = np.bincount(bones.measure, np.where(known, length, 0.0))
    count = np.bincount(bones.measure, known)
    mean = total.sum() / max(count.sum(), 1)
    return np.where(count > 0, total / np.maximum(count, 1), mean)


def _log_sizes(bones: Float[Real, "N B"], usual: Float[Real, "B"]) -> Float[Real, "N"]:
    """The median over the bones of their logarithms minus the usual ones; NaN of too few bones.

    A bone weighs as much as it is long, as errors of its ends are alike.
    """
    known = np.isfinite(bones) & np.isfinite(usual)
    above = np.where(known, bones - usual, np.inf)
    order = above.argsort(1)
    weight = np.where(known, np.exp(np.where(np.isfinite(usual), usual, 0.0)), 0.0)
    share = np.cumsum(np.take_along_axis(weight, order, 1), axis=1)
    middle = (share < share[:, -1:] / 2).sum(1)
    size = np.take_along_axis(above, order, 1)[np.arange(len(bones)), middle]
    return np.where(known.sum(1) >= _LEAST_BONES, size, np.nan)


def _running_median(values: Float[Real, "N"]) -> Float[Real, "N"]:
    padded = np.pad(values, _WINDOW // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW), axis=1))


def _best_cut(values: Float[Real, "N"], before: float, after: float) -> int:
    """Where values (NaN is unknown) change from one level to the other, 1 to N - 1."""
    gain = np.nan_to_num(np.abs(values - after) - np.abs(values - before))
    return int(np.cumsum(gain)[:-1].argmax()) + 1


def _median(values: Float[Real, "N B"]) -> Float[Real, "B"]:
    """Over the instants; NaN of a bone that none of them has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an empty column is NaN
        return np.asarray(np.nanmedian(values, axis=0))

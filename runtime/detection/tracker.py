"""Tracking in one view: the largest box at first, then the same person.

The track goes to another person only if that one is clearly larger for some time.
"""

import math

import numpy as np

from cvsf.shapes import Float, Real

# Guesses, not measured.
_YOUNG_NS = 500_000_000
"""A track is young for so long after its first box; then it changes more easily."""
_YOUNG_LOOKS = 3
_LARGER_YOUNG, _LARGER = 1.2, 1.5
"""Ratio of box areas from which another person is followed instead."""
_LOOKS_YOUNG, _LOOKS = 2, 5
"""For so many searches in a row."""
_PATIENCE_NS = 1_000_000_000
"""How long another person must stay larger, and how long a lost person is kept."""
_SAME_IOU = 0.3
"""IoU from which two boxes are one person."""
_MOST_DISTANCE = 0.35
"""Largest distance from the expected box, in heights of the person."""
_LEAST_HEIGHT_RATIO = 0.65
"""Least ratio of two heights of the same person, smaller over larger."""
_UNUSUAL, _USUAL_RATE = 0.6, 0.1
"""A pose of less than this share of the usual confidence is weak if no box confirms it; the usual
confidence is a running mean with this rate."""
_WEAK_POSES = 3
_FEWEST_JOINTS = 4
_SHRINK = 0.3
"""A box grows at once and shrinks by this share of the difference; so no limb is cut off."""


class Track:
    """Box and velocity of the person, and the other person who may be followed instead."""

    def __init__(self, every: int, turn: int, beyond: float) -> None:
        self._every = every
        self._turn = turn  # of this view, so that not all are searched in one instant
        self._beyond = beyond  # margin of a body around its joints
        self.forget()

    def forget(self) -> None:
        """Forget the person: box, velocity, other person and counts are as before the first
        detection.
        """
        self._box: Real | None = None
        self._velocity = np.zeros(2)  # px a nanosecond
        self._t_ns = self._born_ns = self._seen_ns = 0
        self._looks = self._since_look = self._unconfirmed = self._weak = 0
        self._usual = 0.0  # confidence of the joints of this person
        self._lost = False
        self._rival: Real | None = None
        self._rival_looks = self._rival_ns = 0

    def due(self, instant: int, t_ns: int) -> bool:
        """Whether the whole picture is to be searched now; call it exactly once per instant.

        True for every instant at first and while the person is lost or not found, more rarely
        otherwise, in an order of turns over the views. `instant` counts the instants.
        """
        self._since_look += 1
        if self._box is None or self._lost or self._looks < _YOUNG_LOOKS:
            return True
        if self._unconfirmed or self._rival_looks or t_ns - self._born_ns < _YOUNG_NS:
            return self._since_look >= max(1, self._every // 4)
        return instant % self._every == self._turn * _stride(self._every) % self._every

    def expected(self, t_ns: int) -> Float[Real, "4"] | None:
        """The box in which the person is expected at `t_ns`, in px of the picture: x0, y0, x1, y1.

        It is a new array: the last box moved on with its velocity, each way by its longer side at
        most; it may leave the picture. None while no person is followed, or the person is lost.
        """
        return None if self._box is None or self._lost else self._moved(t_ns)

    def look(self, found: Float[Real, "N 5"], t_ns: int) -> int | None:
        """Update the track by the boxes found in the whole picture; the index of the person's box.

        `found` has x0, y0, x1, y1 in px of the picture and confidence; `t_ns` is the time of the
        picture. The first person is the largest box; later another one is taken only if it is
        clearly larger for some time, or the person is lost for more than 1 s. If then no other one
        is found, the person is forgotten. None if no box is this person's, or nothing was found.
        """
        self._since_look = 0
        self._looks += 1
        if self._box is None:
            return self._start(found, _largest(found), t_ns)
        expected_box = self._moved(t_ns)
        own = self._own(found, expected_box, t_ns)
        if own is not None:
            self._confirm(found[own, :4], expected_box, t_ns)
        else:
            self._unconfirmed += 1
        rival = _largest(found, other_than=expected_box if own is None else found[own, :4])
        if self._switches_to(rival, found, expected_box, t_ns):
            return self._start(found, rival, t_ns)
        return own

    def follow(
        self, keypoints_px: Float[Real, "J 2"], confidence: Float[Real, "J"], gate: float, t_ns: int
    ) -> bool:
        """Update the box by the keypoints (px of the picture); False if they are not this person's.

        They are not if too few joints reach the confidence `gate`, or they are far from the
        expected box; then the box stays. After three such poses in a row the person is lost. False
        without a person.
        """
        expected_box = self._moved(t_ns) if self._box is not None else None
        is_confident = confidence >= gate
        if expected_box is None or confidence.mean() < gate or is_confident.sum() < _FEWEST_JOINTS:
            return self._count_weak()
        low, high = keypoints_px[is_confident].min(0), keypoints_px[is_confident].max(0)
        grown = self._beyond * (high - low).max()
        box = np.concatenate([low - grown, high + grown])
        mean_confidence = float(confidence.mean())
        if _iou(box, expected_box) < _SAME_IOU and not _near(box, expected_box, _MOST_DISTANCE):
            return self._count_weak()
        if self._unconfirmed and mean_confidence < _UNUSUAL * self._usual:
            return self._count_weak()
        self._weak = 0
        self._usual += (mean_confidence - self._usual) * (_USUAL_RATE if self._usual else 1.0)
        self._move(_smoothed(box, expected_box), t_ns)
        return True

    @property
    def box(self) -> Float[Real, "4"] | None:
        """The person's box after the last update, in px of the picture: x0, y0, x1, y1.

        It stays while the person is lost; None without a person. It is the track's own array: do
        not change it.
        """
        return self._box

    def _count_weak(self) -> bool:
        self._weak += 1
        self._lost = self._lost or self._weak >= _WEAK_POSES
        return False

    def _start(self, found: Real, which: int | None, t_ns: int) -> int | None:
        self.forget()
        if which is None:
            return None
        self._box = found[which, :4].copy()
        self._t_ns = self._born_ns = self._seen_ns = t_ns
        self._looks = 1
        return which

    def _confirm(self, box: Real, expected_box: Real, t_ns: int) -> None:
        """Update by a detected box: its mean with the expected one."""
        self._unconfirmed = 0
        fresh = self._lost or self._looks <= _YOUNG_LOOKS
        if self._lost:
            self._velocity[:] = 0
            self._t_ns = t_ns
        self._move(box.copy() if fresh else (box + expected_box) / 2, t_ns)
        self._lost = False
        self._weak = 0

    def _move(self, box: Real, t_ns: int) -> None:
        assert self._box is not None
        if t_ns > self._t_ns:
            step = (_centre(box) - _centre(self._box)) / (t_ns - self._t_ns)
            self._velocity = (self._velocity + step) / 2
        self._box, self._t_ns, self._seen_ns = box, t_ns, t_ns

    def _moved(self, t_ns: int) -> Real:
        assert self._box is not None
        away = self._velocity * (t_ns - self._t_ns)
        reach = (self._box[2:] - self._box[:2]).max()
        away = np.clip(away, -reach, reach)
        return np.asarray(self._box + np.concatenate([away, away]))

    def _own(self, found: Real, expected_box: Real, t_ns: int) -> int | None:
        """Index of the box most like the expected one; a lost person may be farther away."""
        if len(found) == 0:
            return None
        ious = np.array([_iou(box[:4], expected_box) for box in found])
        best = int(ious.argmax())
        if ious[best] >= _SAME_IOU:
            return best
        reach = _MOST_DISTANCE + (min((t_ns - self._seen_ns) / 1e9, 1.0) if self._lost else 0.0)
        near = [i for i, box in enumerate(found) if _near(box[:4], expected_box, reach)]
        if not near:
            return None
        return min(
            near, key=lambda i: float(np.abs(_centre(found[i]) - _centre(expected_box)).sum())
        )

    def _switches_to(self, rival: int | None, found: Real, expected_box: Real, t_ns: int) -> bool:
        """Whether the track goes to another person: this one is lost for too long, or the other one
        is larger for long enough.
        """
        waited = t_ns - self._seen_ns > _PATIENCE_NS
        if self._lost and waited:
            return True
        young = t_ns - self._born_ns < _YOUNG_NS
        factor = _LARGER_YOUNG if young else _LARGER
        if rival is None or _area(found[rival]) < factor * _area(expected_box):
            self._rival, self._rival_looks = None, 0
            return False
        box = found[rival, :4].copy()
        same = self._rival is not None and (
            _iou(box, self._rival) >= _SAME_IOU / 3 or _near(box, self._rival, 0.5)
        )
        if not same:
            self._rival_looks, self._rival_ns = 0, t_ns
        self._rival = box
        self._rival_looks += 1
        if young:
            return self._rival_looks >= _LOOKS_YOUNG
        return self._rival_looks >= _LOOKS and t_ns - self._rival_ns >= _PATIENCE_NS


def _stride(every: int) -> int:
    """A step that visits all of `every` turns, neighbours far apart."""
    return next(s for s in range(max(1, every // 3), 2 * every) if math.gcd(s, every) == 1)


def _smoothed(box: Real, expected_box: Real) -> Real:
    """The new box, never much smaller than the old one."""
    half = (box[2:] - box[:2]) / 2
    before = (expected_box[2:] - expected_box[:2]) / 2
    half = np.where(half < before, before + _SHRINK * (half - before), half)
    centre = _centre(box)
    return np.concatenate([centre - half, centre + half])


def _largest(found: Real, other_than: Real | None = None) -> int | None:
    areas = [
        _area(box) if other_than is None or _iou(box[:4], other_than) < _SAME_IOU else 0.0
        for box in found
    ]
    return int(np.argmax(areas)) if areas and max(areas) > 0 else None


def _centre(box: Real) -> Real:
    return np.asarray((box[:2] + box[2:4]) / 2)


def _area(box: Real) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _iou(a: Real, b: Real) -> float:
    """IoU of two boxes."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    shared = float(wide * high)
    return shared / (_area(a) + _area(b) - shared)


def _near(a: Real, b: Real, reach: float) -> bool:
    """Whether the centres are within `reach` heights of each other and the heights are alike."""
    high_a, high_b = a[3] - a[1], b[3] - b[1]
    distance = float(np.hypot(*(_centre(a) - _centre(b))))
    return bool(
        distance <= reach * max(high_a, high_b)
        and _LEAST_HEIGHT_RATIO <= high_a / high_b <= 1 / _LEAST_HEIGHT_RATIO
    )

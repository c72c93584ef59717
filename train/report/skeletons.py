"""Skeletons of a night's report as SVG: what the network said before and after, over its target.

All bodies of one page are drawn to one scale and nothing is fitted, so what looks off is off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import JOINT_SETS
from train.report.formatting import Told, items, number, text
from train.report.html import Markup, element, join

Real = npt.NDArray[np.float64]

_HEIGHT = 200.0  # of a drawing, in its own units
_MARGIN = 1.07
_PITCH = np.radians(9.0)  # looked at from slightly above, so that the ground shows
_BESIDE = 5.0  # threads shorter than so much of the height would hide the figure
_RIM = 0.14  # a bone's rim ends so far from its joints, where other bones go on
_FARTHEST = 1.6  # a body farther than so many targets from it is cut off
VIEWS = {"from the front": 0.0, "from the right": 90.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One instant: the target's body and the network's before and after, facing the reader."""

    name: str
    t_s: float | None
    target: Real  # (J, 3) z up, x to the reader's right, y away
    before: Real
    after: Real

    def distance(self, body: Real) -> float | None:
        """How far its joints are from the target's in the mean, trunk and leg being 1."""
        apart = np.linalg.norm(body - self.target, axis=-1)
        return float(np.nanmean(apart)) if np.isfinite(apart).any() else None


@dataclass(frozen=True, slots=True)
class Room:
    """Half of what a drawing holds, trunk and leg being 1."""

    half_width: float
    half_height: float


@dataclass(frozen=True, slots=True)
class Build:
    """How the joints hang together and which are on which side."""

    bones: tuple[tuple[int, int], ...]
    sides: tuple[str, ...]  # left, right or middle, per joint
    head: int | None
    hips: tuple[int, int] | None  # left, right


def read_build(report: Told) -> Build | None:
    """The build of the report's bodies; sides are known where its bones are a registered set's."""
    pairs = [pair for pair in items(report, "bones") if _is_bone(pair)]
    if not pairs:
        return None
    bones = tuple((int(a), int(b)) for a, b in pairs)
    names = [str(joint) for joint in items(report, "joints")]
    if not names:
        known = [s for s in JOINT_SETS.values() if set(map(frozenset, s.bones)) == _ends(bones)]
        names = list(known[0].joints) if known else []
    names += [""] * (1 + max(map(max, bones)) - len(names))
    sides = tuple(_side(name) for name in names)
    hips = (names.index("lhip"), names.index("rhip")) if {"lhip", "rhip"} <= {*names} else None
    return Build(bones, sides, names.index("head") if "head" in names else None, hips)


def read_shown(report: Told, build: Build) -> list[Shown]:
    """The report's instants that can be drawn."""
    return [
        shown
        for told in items(report, "skeletons")
        if isinstance(told, dict) and (shown := _read(told, build))
    ]


def room(shown: Sequence[Shown]) -> Room:
    """What a drawing has to hold, so that all instants fit to one scale."""
    targets = [_extent(s.target) for s in shown]
    bodies = [_extent(body) for s in shown for body in (s.before, s.after)]
    least = np.max([*targets, np.full(2, 1e-6)], 0)
    half = np.minimum(np.max([*targets, *bodies, least], 0), _FARTHEST * least) * _MARGIN
    return Room(float(max(half[0], half[1] / 3)), float(max(half[1], half[0] / 3)))


def draw_body(shown: Shown, body: Real, build: Build, turn_deg: float, box: Room) -> Markup:
    """One body over the target's, seen from one side."""
    scale = _HEIGHT / 2 / box.half_height
    ground = float(np.nanmin(shown.target[:, 2]))
    under = np.where([True, True, False], shown.target, ground)
    target, shadow, own = (_flat(b, turn_deg) * scale for b in (shown.target, under, body))
    width = _HEIGHT * box.half_width / box.half_height
    return element(
        "svg",
        _bones(shadow, build, "shadow"),
        _bones(target, build, "target"),
        _figure(own, build),
        _misses(own, target),
        viewBox=f"{-width / 2:.2f} {-_HEIGHT / 2:g} {width:.2f} {_HEIGHT:g}",
        role="img",
    )


def _figure(points: Real, build: Build) -> Markup:
    """Bones from far to near, each with a rim, so that what is in front is seen to be."""
    depth = {bone: float(points[list(bone), 2].mean()) for bone in build.bones}
    parts = []
    for bone in sorted(build.bones, key=lambda b: -depth[b] if np.isfinite(depth[b]) else 0):
        sides = {build.sides[end] for end in bone} - {"middle"}
        side = sides.pop() if len(sides) == 1 else "middle"
        parts += [_line(points, bone, "rim", _RIM), _line(points, bone, f"bone {side}")]
    if build.head is not None and np.isfinite(points[build.head]).all():
        x, y, _ = map(float, points[build.head])
        parts.append(element("circle", cx=x, cy=y, r=7.0, class_="head"))
    return join(*parts)


def _bones(points: Real, build: Build, kind: str) -> Markup:
    return join(*(_line(points, bone, kind) for bone in build.bones))


def _misses(own: Real, target: Real) -> Markup:
    """A thread from every joint to where it should be, if that is beside it."""
    pairs = list(zip(own[:, :2], target[:, :2], strict=True))
    pairs = [(a, b) for a, b in pairs if np.hypot(*(a - b)) > _BESIDE]
    paths = [f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" for a, b in pairs]
    return element("path", d="".join(paths), class_="miss")


def _line(points: Real, bone: tuple[int, int], kind: str, short: float = 0.0) -> Markup | None:
    """A bone, at both ends shorter by a share of it."""
    ends = points[list(bone), :2]
    ends = ends + short * (ends[::-1] - ends)
    if not np.isfinite(ends).all():
        return None
    (x1, y1), (x2, y2) = ends.tolist()
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def _flat(body: Real, turn_deg: float) -> Real:
    """The drawing's x right, y down and the depth of every joint."""
    turn = np.radians(turn_deg)
    x = body[:, 0] * np.cos(turn) - body[:, 1] * np.sin(turn)
    away = body[:, 0] * np.sin(turn) + body[:, 1] * np.cos(turn)
    up = body[:, 2] * np.cos(_PITCH) + away * np.sin(_PITCH)
    return np.stack([x, -up, away], -1)


def _read(told: Told, build: Build) -> Shown | None:
    bodies = [_body(told, name, len(build.sides)) for name in ("target", "before", "after")]
    if any(body is None for body in bodies):
        return None
    target, before, after = (body for body in bodies if body is not None)
    if np.isfinite(target).all(-1).sum() < 2:
        return None
    facing, middle = _facing(target, build), (_low(target) + _high(target)) / 2
    target, before, after = ((body - middle) @ facing.T for body in (target, before, after))
    middle = (_low(target) + _high(target)) / 2
    return Shown(
        name=text(told, "session") or "",
        t_s=number(told, "t_s"),
        target=target - middle,
        before=before - middle,
        after=after - middle,
    )


def _body(told: Told, name: str, joints: int) -> Real | None:
    """The joints (J, 3), NaN where one is not known."""
    try:
        read = np.array(items(told, name), np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if read.ndim != 2 or read.shape[1] != 3 or len(read) < joints:
        return None
    return np.where(np.isfinite(read).all(-1, keepdims=True), read, np.nan)


def _facing(target: Real, build: Build) -> Real:
    """The turn about the vertical after which the body faces the reader."""
    across = target[build.hips[0]] - target[build.hips[1]] if build.hips else np.full(3, np.nan)
    x, y = across[:2] / np.hypot(*across[:2]) if np.hypot(*across[:2]) > 0 else (1.0, 0.0)
    return np.array([[x, y, 0.0], [-y, x, 0.0], [0.0, 0.0, 1.0]])


def _is_bone(pair: Any) -> bool:
    return (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(end, int) and 0 <= end < 1000 for end in pair)
    )


def _ends(bones: Sequence[tuple[int, int]]) -> set[frozenset[int]]:
    return set(map(frozenset, bones))


def _side(joint: str) -> str:
    if any(joint[1:] in s.joints or f"l{joint[1:]}" in s.joints for s in JOINT_SETS.values()):
        return {"l": "left", "r": "right"}.get(joint[:1], "middle")
    return "middle"


def _extent(body: Real) -> Real:
    """Half the width and height that hold it from every side."""
    flat = np.concatenate([_flat(body, turn)[:, :2] for turn in VIEWS.values()])
    return np.asarray(np.abs(flat[np.isfinite(flat).all(-1)]).max(0, initial=0.0))


def _low(body: Real) -> Real:
    return np.asarray(np.nanmin(body, 0))


def _high(body: Real) -> Real:
    return np.asarray(np.nanmax(body, 0))

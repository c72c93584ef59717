"""Skeletons of a night's report: the lifted bodies before and after, over the target.

All bodies of one page are drawn to one scale, without any alignment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle

from cvsf.shapes import Real
from cvsf.skeleton import JOINT_SETS
from train.report.drawing import COLOURS, Drawing, blank, draw
from train.report.formatting import Report, items, number, text

Body: TypeAlias = Float[Real, "J 3"]

# Chosen by eye, not measured.
_HEIGHT_PX = 200.0  # of a drawing
_MARGIN = 1.07
_PITCH = np.radians(9.0)  # seen from slightly above, so that the ground is visible
_BESIDE_PX = 5.0  # a shorter line from a joint to its target would hide the bones
_RIM = 0.14  # a bone's rim ends at this share of it from its joints, where other bones go on
_FARTHEST = 1.6  # a body is cut off beyond so many times the target's extent
VIEWS = {"from the front": 0.0, "from the right": 90.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One instant: the target's body and the network's before and after, facing the reader."""

    name: str
    t_s: float | None
    target: Body  # (J, 3) z up, x to the reader's right, y away
    before: Body
    after: Body

    def distance(self, body: Body) -> float | None:
        """Mean distance of the body's joints from the target's, over joints known in both, in
        shares of trunk and leg; None if there is no such joint.
        """
        distances = np.linalg.norm(body - self.target, axis=-1)
        return float(np.nanmean(distances)) if np.isfinite(distances).any() else None


@dataclass(frozen=True, slots=True)
class Extent:
    """Half of the size of a drawing, in shares of trunk and leg."""

    half_width: float
    half_height: float


@dataclass(frozen=True, slots=True)
class Build:
    """The bones, and the side of each joint."""

    bones: tuple[tuple[int, int], ...]
    sides: tuple[str, ...]  # left, right or middle, per joint
    head: int | None
    hips: tuple[int, int] | None  # left, right


def read_build(report: Report) -> Build | None:
    """The build of the report's bodies; None if it lists no bones. Names of joints are the
    report's, else those of the joint set with the same bones; without either, every side is
    `middle`.
    """
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


def read_instants(report: Report, build: Build) -> list[Instant]:
    """The instants of the report that hold target, before and after; others are left out. All three
    bodies are rotated about the vertical until the target faces the reader, and moved so that the
    middle of the target's box is the origin.
    """
    return [
        instant
        for entry in items(report, "skeletons")
        if isinstance(entry, dict) and (instant := _read(entry, build))
    ]


def common_extent(instants: Sequence[Instant]) -> Extent:
    """The extent with which all instants (at least one) fit into a drawing at one scale; a body
    that reaches farther than 1.6 times the targets is cut off.
    """
    targets = [_extent(i.target) for i in instants]
    bodies = [_extent(body) for i in instants for body in (i.before, i.after)]
    least = np.max([*targets, np.full(2, 1e-6)], 0)
    half = np.minimum(np.max([*targets, *bodies, least], 0), _FARTHEST * least) * _MARGIN
    return Extent(float(max(half[0], half[1] / 3)), float(max(half[1], half[0] / 3)))


def draw_body(
    instant: Instant, body: Body, build: Build, turn_deg: float, extent: Extent
) -> Drawing:
    """One body over the target's, seen from slightly above; `turn_deg` 0 is from the front, 90 from
    the body's right. Joints that are not known (NaN) are not drawn; red lines join joints to their
    targets where these are clearly apart.
    """
    height, unit = extent.half_height, 2 * extent.half_height / _HEIGHT_PX
    axes = blank(_HEIGHT_PX * extent.half_width / height, _HEIGHT_PX)
    axes.set(xlim=(-extent.half_width, extent.half_width), ylim=(-height, height))
    ground = float(np.nanmin(instant.target[:, 2]))
    under = np.where([True, True, False], instant.target, ground)
    target, shadow, own = (_flat(b, turn_deg) for b in (instant.target, under, body))
    for points, kind, width in ((shadow, "shadow", 5.0), (target, "target", 7.0)):
        _lines(axes, [points[list(bone), :2] for bone in build.bones], kind, width)
    depth = {bone: float(own[list(bone), 2].mean()) for bone in build.bones}
    for bone in sorted(build.bones, key=lambda b: -depth[b] if np.isfinite(depth[b]) else 0):
        sides = {build.sides[end] for end in bone} - {"middle"}
        side = sides.pop() if len(sides) == 1 else "middle"
        ends = own[list(bone), :2]
        if np.isfinite(ends).all():
            rim = ends + _RIM * (ends[::-1] - ends)
            axes.plot(*rim.T, color=COLOURS["rim"], lw=7.6, solid_capstyle="butt")
            axes.plot(
                *ends.T, color=COLOURS[side], lw=4.2, solid_capstyle="round", gid=f"bone {side}"
            )
    if build.head is not None and np.isfinite(own[build.head]).all():
        position = (float(own[build.head, 0]), float(own[build.head, 1]))
        paint = {"facecolor": COLOURS["middle"], "edgecolor": COLOURS["rim"]}
        axes.add_patch(Circle(position, 7 * unit, lw=1.6, zorder=3, **paint))
    pairs = np.stack([own[:, :2], target[:, :2]], 1)
    far = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=-1) > _BESIDE_PX * unit
    _lines(axes, list(pairs[far]), "bad", 1.3, zorder=4)
    return draw(axes)


def _lines(
    axes: Axes, ends: Sequence[Float[Real, "2 2"]], colour: str, width: float, zorder: float = 1
) -> None:
    """Draw the segments (2, 2) whose ends are known, as one group."""
    known = [pair for pair in ends if np.isfinite(pair).all()]
    axes.add_collection(
        LineCollection(
            known, colors=COLOURS[colour], linewidths=width, gid=colour, zorder=zorder,
            capstyle="round",
        ),
        autolim=False,
    )  # fmt: skip


def _flat(body: Body, turn_deg: float) -> Body:
    """The drawing's x right, y up and the depth of every joint."""
    turn = np.radians(turn_deg)
    x = body[:, 0] * np.cos(turn) - body[:, 1] * np.sin(turn)
    away = body[:, 0] * np.sin(turn) + body[:, 1] * np.cos(turn)
    up = body[:, 2] * np.cos(_PITCH) + away * np.sin(_PITCH)
    return np.stack([x, up, away], -1)


def _read(entry: Report, build: Build) -> Instant | None:
    target, before, after = (
        _body(entry, name, len(build.sides)) for name in ("target", "before", "after")
    )
    if target is None or before is None or after is None or np.isfinite(target).all(-1).sum() < 2:
        return None
    facing = _facing(target, build)
    target, before, after = target @ facing.T, before @ facing.T, after @ facing.T
    middle = (np.nanmin(target, 0) + np.nanmax(target, 0)) / 2
    return Instant(
        name=text(entry, "session") or "",
        t_s=number(entry, "t_s"),
        target=target - middle,
        before=before - middle,
        after=after - middle,
    )


def _body(entry: Report, name: str, joints: int) -> Body | None:
    """The joints (J, 3), NaN where one is not known."""
    try:
        read = np.array(items(entry, name), np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if read.ndim != 2 or read.shape[1] != 3 or len(read) < joints:
        return None
    return np.where(np.isfinite(read).all(-1, keepdims=True), read, np.nan)[:joints]


def _facing(target: Body, build: Build) -> Float[Real, "3 3"]:
    """The rotation about the vertical after which the body faces the reader."""
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


def _extent(body: Body) -> Float[Real, "2"]:
    """Half of the width and height that it has in any of the drawings."""
    flat = np.concatenate([_flat(body, turn)[:, :2] for turn in VIEWS.values()])
    return np.asarray(np.abs(flat[np.isfinite(flat).all(-1)]).max(0, initial=0.0))

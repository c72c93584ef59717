"""The skier's surface: joints in, shaded facets in world metres out.

Every part is a tube of rings between two points of the body; left and right wear the same.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from capture.simulator.skier import SIDES, Build, Pose
from cvsf.shapes import Array, Float, Index, Int, Real
from cvsf.skeleton import H36M_16

AROUND = 10
"""Vertices of a ring."""

CENTRE_POINTS = ("hip", "spine", "thorax", "head")
SIDE_POINTS = (
    "hip", "knee", "ankle", "shoulder", "elbow", "wrist", "knuckle", "cuff", "heel", "toe",
    "tail", "tip",
)  # fmt: skip
REFERENCES = ("pelvis", "chest", "face", "out_l", "out_r", "ski_l", "ski_r", "up_l", "up_r")

Ring = tuple[float, float, float, float]
"""Where along the part (0 to 1), half width, half depth and shift towards the reference (m)."""

# part, from, to, the direction its front faces, rings
CENTRE_PARTS: tuple[tuple[str, str, str, str, tuple[Ring, ...]], ...] = (
    ("seat", "hip", "spine", "pelvis", (
        (-0.5, 0.08, 0.06, 0), (-0.32, 0.15, 0.115, -0.02), (0, 0.175, 0.135, -0.02),
        (0.35, 0.17, 0.12, -0.01), (0.6, 0.155, 0.11, 0))),
    ("belly", "hip", "spine", "pelvis", (
        (0.22, 0.178, 0.13, 0), (0.6, 0.165, 0.12, 0), (1.0, 0.165, 0.12, 0),
        (1.2, 0.15, 0.11, 0))),
    ("chest", "spine", "thorax", "chest", (
        (-0.15, 0.155, 0.115, 0), (0.1, 0.168, 0.125, 0), (0.4, 0.185, 0.135, 0),
        (0.65, 0.195, 0.135, 0),
        (0.85, 0.185, 0.12, -0.01), (1.0, 0.15, 0.095, -0.01), (1.08, 0.075, 0.07, 0))),
    ("neck", "thorax", "head", "face", (
        (-0.05, 0.085, 0.085, 0), (0.12, 0.068, 0.07, 0.01), (0.35, 0.062, 0.068, 0.02))),
    ("face", "thorax", "head", "face", (
        (0.2, 0.035, 0.04, 0.05), (0.28, 0.058, 0.075, 0.035), (0.42, 0.07, 0.09, 0.025),
        (0.55, 0.076, 0.096, 0.022), (0.72, 0.076, 0.095, 0.02))),
    ("helmet", "thorax", "head", "face", (
        (0.4, 0.08, 0.075, -0.035), (0.55, 0.098, 0.1, -0.022), (0.7, 0.104, 0.122, 0.0),
        (0.84, 0.098, 0.116, 0.0), (0.94, 0.075, 0.09, 0.0), (1.0, 0.04, 0.05, 0),
        (1.02, 0.008, 0.01, 0))),
)  # fmt: skip
SIDE_PARTS: tuple[tuple[str, str, str, str, tuple[Ring, ...]], ...] = (
    ("thigh", "hip", "knee", "ski", (
        (-0.12, 0.06, 0.06, 0), (0.0, 0.092, 0.1, 0), (0.25, 0.094, 0.102, 0),
        (0.5, 0.086, 0.092, 0),
        (0.75, 0.076, 0.08, 0), (0.95, 0.068, 0.07, 0.01), (1.05, 0.05, 0.05, 0.01))),
    ("shin", "knee", "ankle", "ski", (
        (-0.06, 0.045, 0.05, 0.005), (0.04, 0.066, 0.07, 0.008), (0.25, 0.069, 0.075, -0.012),
        (0.5, 0.073, 0.078, -0.008), (0.72, 0.078, 0.084, 0), (0.8, 0.07, 0.075, 0))),
    ("boot", "cuff", "ankle", "ski", (
        (-0.05, 0.05, 0.055, 0), (0.0, 0.063, 0.072, 0), (0.5, 0.06, 0.068, 0),
        (1.0, 0.057, 0.072, 0.005),
        (1.35, 0.05, 0.07, 0.01))),
    ("shell", "heel", "toe", "up", (
        (-0.05, 0.025, 0.03, 0.02), (0.03, 0.05, 0.05, 0.022), (0.45, 0.053, 0.055, 0.02),
        (0.75, 0.052, 0.04, 0.005), (0.97, 0.045, 0.03, 0), (1.03, 0.02, 0.015, 0))),
    ("sleeve", "shoulder", "elbow", "out", (
        (-0.2, 0.03, 0.03, 0), (-0.1, 0.058, 0.06, 0), (0.05, 0.07, 0.072, 0),
        (0.3, 0.066, 0.068, 0),
        (0.55, 0.06, 0.06, 0), (0.8, 0.056, 0.055, 0), (1.05, 0.045, 0.045, 0))),
    ("cuffs", "elbow", "wrist", "out", (
        (-0.1, 0.035, 0.035, 0), (0.0, 0.053, 0.053, 0), (0.3, 0.052, 0.052, 0),
        (0.6, 0.047, 0.047, 0),
        (0.88, 0.042, 0.042, 0))),
    ("glove", "wrist", "knuckle", "out", (
        (-0.5, 0.046, 0.046, 0), (0.0, 0.045, 0.045, 0), (0.45, 0.05, 0.045, 0),
        (0.9, 0.05, 0.045, 0),
        (1.1, 0.02, 0.02, 0))),
    ("ski", "tail", "tip", "up", (
        (0.0, 0.02, 0.006, 0), (0.02, 0.05, 0.009, 0), (0.25, 0.042, 0.011, 0),
        (0.47, 0.037, 0.014, 0),
        (0.7, 0.042, 0.011, 0), (0.9, 0.056, 0.009, 0.004), (0.96, 0.045, 0.007, 0.035),
        (1.0, 0.012, 0.005, 0.075))),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The tubes of a body as index arrays: R rings, F facets."""

    names: tuple[str, ...]  # of parts; a facet's `part` counts here
    start: Int[Index, "R"]  # point a ring's tube starts at
    end: Int[Index, "R"]
    reference: Int[Index, "R"]
    rings: Float[Real, "R 4"]
    corners: Int[Index, "F 4"]  # into the R * AROUND vertices
    part: Int[Index, "F"]
    along: Float[Real, "F"]  # 0 at the start of the tube, 1 at its end
    angle: Float[Real, "F"]  # around the tube, pi / 2 is its front


def make_figure() -> Figure:
    """The tubes of the body, skis and boots as indices and rings (m); the same for every skier, as
    size and colour come later.
    """
    points = [*CENTRE_POINTS, *(f"{side}{p}" for p in SIDE_POINTS for side in "lr")]
    parts = list(CENTRE_PARTS)
    for name, start, end, front, tube in SIDE_PARTS:
        parts += [(name, f"{s}{start}", f"{s}{end}", f"{front}_{s}", tube) for s in "lr"]
    names = tuple(dict.fromkeys(part[0] for part in parts))
    rows: list[tuple[int, int, int]] = []
    rings: list[Ring] = []
    corners, owner, along, angle = [], [], [], []
    for name, start, end, front, tube in parts:
        for i in range(len(tube) - 1):
            for k in range(AROUND):
                low, high = (len(rings) + i) * AROUND, (len(rings) + i + 1) * AROUND
                following = (k + 1) % AROUND
                corners.append((low + k, low + following, high + following, high + k))
                owner.append(names.index(name))
                along.append((tube[i][0] + tube[i + 1][0]) / 2)
                angle.append(2 * np.pi * (k + 0.5) / AROUND)
        rows += [(points.index(start), points.index(end), REFERENCES.index(front))] * len(tube)
        rings += tube
    index = np.array(rows)
    return Figure(
        names=names,
        start=index[:, 0],
        end=index[:, 1],
        reference=index[:, 2],
        rings=np.array(rings),
        corners=np.array(corners),
        part=np.array(owner),
        along=np.array(along),
        angle=np.array(angle),
    )


def surface(figure: Figure, build: Build, pose: Pose) -> Float[Real, "T vertices 3"]:
    """Vertices of the skier's mesh in the world (m) at T times, ring by ring in the order of
    `figure.rings`, `AROUND` vertices a ring; a new array. `pose` is in the world (m). The first
    vertex of a ring is at its side; the next ones go around over the front. Tubes are open: there
    is no vertex in the middle of an end.
    """
    points, fronts = _points(build, pose), _references(pose)
    start, end = points[:, figure.start], points[:, figure.end]
    way = end - start
    axis = way / np.linalg.norm(way, axis=-1, keepdims=True)
    side = cross(axis, fronts[:, figure.reference])
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    front = cross(side, axis)
    along, width, depth, shift = (figure.rings[:, i, None] for i in range(4))
    centre = start + along * way + shift * front
    angle = 2 * np.pi * np.arange(AROUND)[:, None] / AROUND
    across = (
        np.cos(angle) * (width * side)[:, :, None] + np.sin(angle) * (depth * front)[:, :, None]
    )
    vertices: Real = centre[:, :, None] + across
    return vertices.reshape(len(points), -1, 3)


def facet_normals(figure: Figure, vertices: Float[Array, "T vertices 3"]) -> Float[Array, "T F 3"]:
    """Outward unit normals of the facets, in the frame of the vertices; zero for a facet without
    area.
    """
    a, b, c, d = (vertices[:, figure.corners[:, i]] for i in range(4))
    normal = cross(d - b, c - a)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    unit: Array = normal / np.maximum(length, np.float32(1e-9))
    return unit


def cross(
    a: Float[npt.NDArray[Any], "*a 3"], b: Float[npt.NDArray[Any], "*b 3"]
) -> Float[npt.NDArray[Any], "*both 3"]:
    """np.cross along the last axis, several times faster on small arrays."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def _points(build: Build, pose: Pose) -> Float[Real, "T points 3"]:
    """In the order of CENTRE_POINTS then SIDE_POINTS, left before right."""
    at = {name: pose.joints[:, i] for i, name in enumerate(H36M_16.joints)}
    both = {
        p: np.stack([at["l" + p], at["r" + p]], 1)
        for p in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    }
    shank = (both["knee"] - both["ankle"]) / build.shank
    hand = (both["wrist"] - both["elbow"]) / build.forearm
    front, up = pose.ski[:, :, 1], pose.ski[:, :, 2]
    middle = pose.sole + 0.012 * up
    both |= {
        "knuckle": both["wrist"] + 0.11 * hand, "cuff": both["ankle"] + 0.22 * shank,
        "heel": pose.sole - 0.13 * front + 0.05 * up, "toe": pose.sole + 0.19 * front + 0.05 * up,
        "tail": middle - 0.46 * build.ski * front, "tip": middle + 0.54 * build.ski * front,
    }  # fmt: skip
    centre = [at[p][:, None] for p in CENTRE_POINTS]
    return np.concatenate([*centre, *(both[p] for p in SIDE_POINTS)], 1)


def _references(pose: Pose) -> Float[Real, "T references 3"]:
    """In the order of REFERENCES."""
    out = SIDES[:, None] * pose.chest[:, None, 0] + 0.3 * pose.chest[:, None, 2]
    centre = [frame[:, None, 1] for frame in (pose.pelvis, pose.chest, pose.head)]
    return np.concatenate([*centre, out, pose.ski[:, :, 1], pose.ski[:, :, 2]], 1)

"""The simulated slope: one skier on one run, and the cameras around it.

A camera depends on the seed and its own index, never on how many others there are.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.simulator.course import Course, Stamps, lay_course
from capture.simulator.mesh import cross
from capture.simulator.skier import Build, build_skier
from cvsf.shapes import Float, Int, Real


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """The run and its skier."""

    seed: int
    course: Course
    build: Build
    first: Course  # of the first take, for which the cameras are set up


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewpoint:
    """One camera: a fixed tripod that stands still or pans and zooms after the skier."""

    eye: Float[Real, "3"]  # metres
    roll: float
    size: tuple[int, int]  # width, height
    target: Float[Real, "3"]  # of a still camera, metres
    focal_px: float  # of a still camera
    follows: bool
    tall_px: float  # height of the skier in a panning camera's picture
    wobble: Float[Real, "4 4 2"]  # amplitude and phase of four waves of x, y, z and zoom
    period_ns: int


def make_slope(seed: int, moving: bool, take: int = 0) -> Slope:
    """The slope of a seed: run, skier and the first take, for which cameras are placed. Another
    take is another run on it, past the same cameras; for take 0, run and first take are one object.
    The same arguments give the same slope.
    """
    first = lay_course(seed, moving)
    course = lay_course(seed, moving, take) if take else first
    return Slope(seed=seed, course=course, build=build_skier(seed), first=first)


def place_camera(slope: Slope, index: int, size: tuple[int, int], spread: float = 0.0) -> Viewpoint:
    """Camera `index` of the slope, always the same for the same arguments; `size` is (width,
    height) in px. It is outside the run and looks inwards, 1 to 4 m above the snow. It follows the
    skier if the slope's first take is for moving cameras. `spread` (0 on the live slope) varies
    distance, aim and zoom more, for training.
    """
    course, rng = slope.first, np.random.default_rng([slope.seed, 6, index])
    start = np.random.default_rng([slope.seed, 7]).uniform(0, 2 * np.pi)
    azimuth = start + _azimuth(index) + rng.normal(0, 0.14)
    if course.moving:
        away = course.radius * rng.uniform(0.85, 1.25) + rng.uniform(6, 12)
    else:
        away = max(
            course.radius + 3.8, rng.uniform(8.0, 12.5) * np.exp(0.3 * spread * rng.normal())
        )
    xy = away * np.array([np.cos(azimuth), np.sin(azimuth)])
    eye = np.array([*xy, float(course.height(xy)) + rng.uniform(1.0, 4.0)])
    aside = rng.normal(0, 0.12 + 1.2 * spread, 2)
    target = np.array([*aside, float(course.height(aside)) + rng.uniform(0.6, 1.0)])
    roll = float(rng.normal(0, 0.025))
    zoom = rng.uniform(0.9, 1.01) * np.exp(spread * rng.uniform(-0.5, 0.7))
    wobble = np.stack([rng.normal(0, 1, (4, 4)) * 0.5, rng.uniform(0, 2 * np.pi, (4, 4))], -1)
    tall = rng.uniform(115, 200) * (size[1] / 480) * np.exp(spread * rng.uniform(-0.8, 0.5))
    rotation = look_at(eye, target[None], np.array([roll]))[0]
    return Viewpoint(
        eye=eye, roll=roll, size=size, target=target, follows=course.moving, tall_px=tall,
        focal_px=zoom * _fitting(course, eye, rotation, size), wobble=wobble,
        period_ns=course.period_ns,
    )  # fmt: skip


def rotated_left(view: Viewpoint, turn_deg: float) -> Viewpoint:
    """The viewpoint of a still camera whose tripod was turned by `turn_deg` degrees about the
    vertical, to the left if positive: the picture's content moves right. A camera that follows the
    skier films as before.
    """
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    x, y, z = view.target - view.eye
    return replace(view, target=view.eye + np.array([c * x - s * y, s * x + c * y, z]))


def camera_at(
    view: Viewpoint, raw_ns: Int[Stamps, "T"], pelvis: Float[Real, "T 3"]
) -> tuple[Float[Real, "T 3 3"], Float[Real, "T"]]:
    """Rotations view_from_world and focal lengths (px) of a camera at times of the clock (ns);
    `pelvis` is the skier's, in the world (m), at these times. A still camera has the same at all
    times.
    """
    count = len(raw_ns)
    if not view.follows:
        rotation = look_at(view.eye, view.target[None], np.array([view.roll]))
        return np.repeat(rotation, count, 0), np.full(count, view.focal_px)
    turn = (raw_ns % view.period_ns)[:, None] * (2 * np.pi / view.period_ns)
    waves = turn * np.array([3, 7, 13, 29])
    wobble = (view.wobble[..., 0] * np.sin(waves[:, None] + view.wobble[..., 1])).sum(-1)  # (T, 4)
    target = pelvis + 0.13 * wobble[:, :3]
    reach = np.linalg.norm(target - view.eye, axis=1)
    focal = view.tall_px * reach / 1.6 * np.exp(0.07 * wobble[:, 3])
    return look_at(view.eye, target, view.roll + 0.008 * wobble[:, 0]), focal


def look_at(
    eye: Float[Real, "3"], target: Float[Real, "T 3"], roll: Float[Real, "T"]
) -> Float[Real, "T 3 3"]:
    """Rotations view_from_world of a camera at `eye` that looks at `target` (both m, world). Rows
    are its right, down and forward. A positive `roll` (radians) turns the picture's content
    clockwise. NaN for a target straight above or below.
    """
    forward = target - eye
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = cross(forward, np.broadcast_to(np.array([0.0, 0.0, 1.0]), forward.shape))
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    down = cross(forward, right)
    c, s = np.cos(roll)[:, None], np.sin(roll)[:, None]
    return np.stack([c * right - s * down, s * right + c * down, forward], 1)


def project(
    points: Float[Real, "T n 3"],
    eye: Float[Real, "3"],
    rotation: Float[Real, "T 3 3"],
    focal_px: Float[Real, "T"],
    size: tuple[int, int],
) -> tuple[Float[Real, "T n 3"], Float[Real, "T n 2"]]:
    """World points (m) in the view frame (m; x right, y down, z forward), and their pixels.
    `rotation` is view_from_world; the principal point is the middle of the picture. Pixels outside
    the picture are given too; those of points behind the camera (z below 0) are meaningless, and at
    z = 0 they are inf or NaN.
    """
    local = (points - eye) @ np.swapaxes(rotation, 1, 2)
    px = focal_px[:, None, None] * local[..., :2] / local[..., 2:] + np.array(size) / 2
    return local, px


def _azimuth(index: int) -> float:
    """0, 90, 180, 270 degrees, then halfway between, then halfway again."""
    ring, place = divmod(index, 4)
    between = (0.0, 0.5, 0.25, 0.75)[ring % 4]
    return float((place + between) * np.pi / 2)


def _fitting(course: Course, eye: Real, rotation: Real, size: tuple[int, int]) -> float:
    """The longest focal length that keeps the whole run, and the skier on it, in the picture."""
    track = course.track[::10]
    lean = course.left[::10] * np.sin(course.signal("lean")[::10, None])
    foot = np.column_stack([track, course.height(track)])
    head = foot + np.column_stack([1.3 * lean, np.full(len(track), 1.7)])
    local = (np.concatenate([foot, head]) - eye) @ rotation.T
    room = np.array(size) / 2 * 0.98
    slack = np.abs(local[:, :2]) / local[:, 2:]
    return float((room / np.maximum(np.percentile(slack, 98.5, axis=0), 1e-6)).min())

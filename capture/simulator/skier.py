"""A procedural skier: joints, skis and poles in metres, from the signals of the course at a time.

Bone lengths are constant, knees and elbows bend in one direction, and the feet stay on the snow.
"""

from dataclasses import dataclass

import numpy as np

from capture.simulator.course import Course, Stamps
from cvsf.shapes import Float, Int, Real
from cvsf.skeleton import H36M_16

STATURE = 1.75
SIDES = np.array([1.0, -1.0])
"""Left, right: the order of every axis of two."""

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Bone lengths (m) and the style of one skier."""

    thigh: float
    shank: float
    hips: float
    lumbar: float
    chest: float
    neck: float  # thorax to crown
    shoulders: float
    upper_arm: float
    forearm: float
    ankle: float  # above the snow on a flat ski
    ski: float
    pole: float
    stance: float
    lead: float
    bend: float  # of the torso, radians
    angulation: float
    counter: float
    hands: Float[Real, "3"]  # forward, outward, upward from the shoulder, in arm lengths
    depth: float  # of the crouch, 0 to 1
    pumping: float  # amplitude of the height over a turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """The skier at T times; an axis of two is left, right; frames are rows left, front, up."""

    joints: Float[Real, "T J 3"]  # in h36m-16
    pelvis: Float[Real, "T 3 3"]
    chest: Float[Real, "T 3 3"]
    head: Float[Real, "T 3 3"]
    sole: Float[Real, "T 2 3"]  # middle of the boot's sole
    ski: Float[Real, "T 2 3 3"]
    pole_tip: Float[Real, "T 2 3"]


def build_skier(seed: int) -> Build:
    """The skier of a seed: 1.75 m tall when upright, with random proportions and style; the same
    seed gives the same.
    """
    rng = np.random.default_rng([seed, 2])
    vary = rng.normal(1, 0.035, 9).clip(0.92, 1.08)
    heights = np.array([0.08, 0.425, 0.425, 0.52, 0.30]) * np.array([1, *vary[:4]])
    foot, shank, thigh, trunk, neck = heights * (STATURE / heights.sum())
    lumbar = trunk * rng.uniform(0.47, 0.53)
    return Build(
        thigh=thigh, shank=shank, lumbar=lumbar, chest=trunk - lumbar, neck=neck,
        hips=0.19 * vary[4], shoulders=0.36 * vary[5], upper_arm=0.29 * vary[6],
        forearm=0.25 * vary[7], ankle=foot + 0.045, ski=rng.uniform(1.5, 1.75),
        pole=rng.uniform(1.1, 1.22), stance=rng.uniform(0.24, 0.42), lead=rng.uniform(0.1, 0.26),
        bend=rng.uniform(0.3, 0.75), angulation=rng.uniform(0.15, 0.65),
        counter=rng.uniform(0.1, 0.8), depth=rng.uniform(0.1, 0.75),
        hands=np.array([rng.uniform(0.45, 0.68), rng.uniform(0.2, 0.5), -rng.uniform(0.3, 0.6)]),
        pumping=rng.uniform(0.3, 1.0),
    )  # fmt: skip


def pose_skier(build: Build, course: Course, raw_ns: Int[Stamps, "T"]) -> Pose:
    """The skier's pose in the world (m) at times of the clock (ns); it repeats with the course's
    period. Frames have unit rows, in the world: to the skier's left, to the front, up.
    """
    s = course.at(raw_ns)
    xy = np.stack([s["x"], s["y"]], 1)
    base = np.column_stack([xy, course.height(xy)])
    tangent = np.stack([s["tangent_x"], s["tangent_y"]], 1)
    front = _unit(np.column_stack([tangent, course.height(tangent)]))
    normal = np.broadcast_to(course.normal, front.shape)
    left = np.cross(normal, front)
    ground = np.stack([left, front, normal], 1)
    sole, ski_front = _feet(build, s, base, ground)
    legs_axis = _inclined(s["lean"], ground)
    pelvis_frame = _pelvis_frame(build, s, ground, legs_axis)
    pelvis, hip, ski, ankle = _stand(build, s, ground, legs_axis, pelvis_frame, sole, ski_front)
    knee, _ = _bend_at(
        hip, ankle, build.thigh, build.shank, 0.8 * ski_front + 0.2 * legs_axis[:, None]
    )
    spine, chest = _trunk(build, s, ground, pelvis, legs_axis)
    thorax = spine + build.chest * chest[:, 2]
    shoulder = thorax[:, None] + SIDES[:, None] * (build.shoulders / 2) * chest[:, None, 0]
    elbow, wrist = _arms(build, s, ground, chest, shoulder)
    tip = _pole_tips(build, s, ground, base, wrist)
    head = _head_frame(s, ground, chest)
    named = {
        "hip": pelvis, "spine": spine, "thorax": thorax, "head": thorax + build.neck * head[:, 2],
        "lhip": hip[:, 0], "lknee": knee[:, 0], "lankle": ankle[:, 0],
        "rhip": hip[:, 1], "rknee": knee[:, 1], "rankle": ankle[:, 1],
        "lshoulder": shoulder[:, 0], "lelbow": elbow[:, 0], "lwrist": wrist[:, 0],
        "rshoulder": shoulder[:, 1], "relbow": elbow[:, 1], "rwrist": wrist[:, 1],
    }  # fmt: skip
    return Pose(
        joints=np.stack([named[joint] for joint in H36M_16.joints], 1),
        pelvis=pelvis_frame, chest=chest, head=head, sole=sole, ski=ski, pole_tip=tip,
    )  # fmt: skip


def _feet(
    build: Build, s: dict[str, Real], base: Float[Real, "T 3"], ground: Float[Real, "T 3 3"]
) -> tuple[Float[Real, "T 2 3"], Float[Real, "T 2 3"]]:
    """Sole centres and ski directions: parallel in a turn, a V when skating."""
    left, front, normal = (ground[:, None, i] for i in range(3))
    skate, swing = s["skate"][:, None], s["skate_sin"][:, None] * SIDES
    push = skate * np.clip(swing, 0, None) ** 2
    lift = (
        skate * np.clip(-s["skate_cos"][:, None] * SIDES, 0, None) ** 3 * np.clip(0.4 - swing, 0, 1)
    )
    inside = np.sin(s["lean"])[:, None] * SIDES
    out = SIDES * (build.stance * (1 - 0.25 * s["tuck"][:, None]) / 2 + 0.2 * push)
    ahead = build.lead * inside - 0.16 * push
    sole = base[:, None] + out[..., None] * left + ahead[..., None] * front
    sole = sole + (0.13 * lift)[..., None] * normal
    yaw = (skate * (0.16 + 0.12 * push) * SIDES)[..., None]
    return sole, np.cos(yaw) * front + np.sin(yaw) * left


def _inclined(lean: Float[Real, "T"], ground: Float[Real, "T 3 3"]) -> Float[Real, "T 3"]:
    """Body axis inclined by `lean` from the vertical towards the left."""
    left, normal = ground[:, 0], ground[:, 2]
    level = _unit(left - left[:, 2:] * UP)
    vertical = _unit(_perpendicular(normal + UP, level))
    return np.cos(lean)[:, None] * vertical + np.sin(lean)[:, None] * level


def _pelvis_frame(build: Build, s: dict[str, Real], ground: Real, axis: Real) -> Real:
    yaw = (-0.4 * build.counter * s["ahead"])[:, None]
    facing = np.cos(yaw) * ground[:, 1] + np.sin(yaw) * ground[:, 0]
    tilt = 0.25 * build.bend
    return _frame(
        facing, _unit(axis * 0.65 + _inclined(0.3 * s["lean"], ground) * 0.35 + tilt * facing)
    )


def _stand(
    build: Build,
    s: dict[str, Real],
    ground: Real,
    axis: Real,
    pelvis_frame: Real,
    sole: Real,
    ski_front: Real,
) -> tuple[Real, Real, Real, Real]:
    """Pelvis, hips, ski frames and ankles; the height is limited by the length of the legs."""
    leg = build.thigh + build.shank
    crouch = 0.05 + 0.2 * build.depth + 0.07 * build.pumping * s["flexion"] + 0.28 * s["tuck"]
    crouch = crouch + 0.05 * s["skate"] * s["skate_cos"] ** 2
    height = leg * np.clip(1 - crouch, 0.5, 0.97) + build.ankle
    middle = sole.mean(1)
    back = (0.04 + 0.55 * np.clip(crouch, 0, 0.5))[:, None] * ground[:, 1]
    shift = (0.1 * s["skate"] * s["skate_cos"])[:, None] * ground[:, 0]
    offset = SIDES[:, None] * (build.hips / 2) * pelvis_frame[:, None, 0]
    foot = middle - back * leg * 0.55 + shift
    hip = foot[:, None] + height[:, None, None] * axis[:, None] + offset
    up = _unit(_perpendicular(hip - sole, ski_front))
    edged = np.linalg.norm(np.cross(up, ground[:, None, 2]), axis=-1, keepdims=True)
    ankle = sole + 0.033 * edged * ground[:, None, 2] + build.ankle * up
    w = foot[:, None] + offset - ankle
    along = (w * axis[:, None]).sum(-1)
    reach = np.sqrt(np.maximum(along**2 - (w**2).sum(-1) + (0.985 * leg) ** 2, 0)) - along
    height = np.minimum(height, reach.min(1))
    pelvis = foot + height[:, None] * axis
    ski = np.stack([np.cross(ski_front, up), ski_front, up], 2)
    return pelvis, pelvis[:, None] + offset, ski, ankle


def _trunk(
    build: Build, s: dict[str, Real], ground: Real, pelvis: Real, axis: Real
) -> tuple[Real, Real]:
    """The spine joint and the frame of the chest, which is bent forward and rotated against the
    skis.
    """
    yaw = -build.counter * s["ahead"] + 0.12 * s["sway"] - 0.2 * s["skate"] * s["skate_cos"]
    facing = np.cos(yaw)[:, None] * ground[:, 1] + np.sin(yaw)[:, None] * ground[:, 0]
    bend = build.bend + 0.12 * s["flexion"] * build.pumping
    bend = bend + s["tuck"] * (1.25 - build.bend) + 0.2 * s["skate"] * s["skate_sin"] ** 2
    rolled = _inclined((1 - build.angulation) * s["lean"] + 0.04 * s["sway"], ground)
    chest = _frame(facing, np.cos(bend)[:, None] * rolled + np.sin(bend)[:, None] * facing)
    lower = _unit(0.45 * axis + chest[:, 2])
    return pelvis + build.lumbar * lower, chest


def _arms(
    build: Build, s: dict[str, Real], ground: Real, chest: Real, shoulder: Real
) -> tuple[Real, Real]:
    """Elbows and wrists while carving, planting a pole, in a tuck or pushing."""
    length = build.upper_arm + build.forearm
    inside = (s["lean"][:, None] * SIDES)[..., None]
    plant = np.stack([s["plant_left"], s["plant_right"]], 1)[..., None]
    sway = (s["sway"][:, None] * SIDES)[..., None]
    carve = build.hands + inside * np.array([0.12, -0.12, 0.2]) + sway * np.array([0.1, 0.06, 0.08])
    carve = carve + plant * np.array([0.18, -0.08, 0.16])
    tuck = np.broadcast_to(np.array([0.62, -0.2, -0.18]), carve.shape)
    swing = 0.25 + 0.85 * (s["skate_cos"][:, None] + 0.35 * s["skate_sin"][:, None] * SIDES)
    pushing = np.stack([0.85 * np.sin(swing), np.full_like(swing, 0.22), -0.85 * np.cos(swing)], -1)
    tucked, skating = s["tuck"][:, None, None], s["skate"][:, None, None]
    reach = carve + tucked * (tuck - carve) + skating * (pushing - carve)
    arm_up = _unit(chest[:, 2] * 0.3 + UP)
    out = SIDES[:, None] * chest[:, None, 0]
    facing = _unit(np.cross(chest[:, 0], arm_up))[:, None]
    wrist = shoulder + length * (
        reach[..., :1] * facing + reach[..., 1:2] * out + reach[..., 2:] * arm_up[:, None]
    )
    hint = 0.75 * out - 0.55 * arm_up[:, None] - 0.35 * facing
    return _bend_at(shoulder, wrist, build.upper_arm, build.forearm, hint)


def _pole_tips(build: Build, s: dict[str, Real], ground: Real, base: Real, wrist: Real) -> Real:
    """Tips of the poles: trailing, planted or under the arms; never below the snow."""
    left, front, normal = (ground[:, None, i] for i in range(3))
    plant = np.stack([s["plant_left"], s["plant_right"]], 1)
    back = -0.85 + 0.8 * plant
    out = SIDES * (0.28 - 0.2 * plant - 0.2 * s["tuck"][:, None])
    steep = 0.75 + 0.55 * plant - 0.7 * s["tuck"][:, None] + 0.25 * s["skate"][:, None]
    flat = _unit(back[..., None] * front + out[..., None] * left)
    high = ((wrist - base[:, None]) * normal).sum(-1)
    fall = np.minimum(np.sin(steep), (high - 0.02) / build.pole)[..., None]
    direction: Real = flat * np.sqrt(1 - fall**2) - fall * normal
    return wrist + build.pole * direction


def _head_frame(s: dict[str, Real], ground: Real, chest: Real) -> Real:
    """The frame of the head: level, and towards the next turn."""
    yaw = (0.35 * s["ahead"] + 0.3 * s["look"])[:, None]
    facing = np.cos(yaw) * ground[:, 1] + np.sin(yaw) * ground[:, 0]
    up = _unit(0.5 * chest[:, 2] + 0.75 * UP - 0.1 * facing)
    return _frame(facing, up)


def _bend_at(root: Real, end: Real, upper: float, lower: float, toward: Real) -> tuple[Real, Real]:
    """The joint between two bones, on the side `toward`; the end is moved to within their reach."""
    way = end - root
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    axis = way / distance
    distance = np.clip(distance, 0.45 * (upper + lower), 0.985 * (upper + lower))
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    aside = np.sqrt(upper**2 - along**2)
    joint: Real = root + along * axis + aside * _unit(_perpendicular(toward, axis))
    return joint, root + distance * axis


def _frame(facing: Real, up: Real) -> Real:
    """The frame (rows left, front, up) with this `up`, and `facing` nearly its front."""
    up = _unit(up)
    left = _unit(np.cross(up, facing))
    return np.stack([left, np.cross(left, up), up], 1)


def _unit(vectors: Real) -> Real:
    unit: Real = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _perpendicular(vectors: Real, axis: Real) -> Real:
    """The component of the vectors perpendicular to a unit axis."""
    perpendicular: Real = vectors - (vectors * axis).sum(-1, keepdims=True) * axis
    return perpendicular

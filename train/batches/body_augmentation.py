"""Synthetic bodies: recorded poses recombined, bent and stretched.

A pose is kept as bones in its own body frame, so upper and lower bodies of different frames fit
together.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cvsf.model.geometry import TINY, body_rotation, cross, rotation_about, unit
from cvsf.skeleton import JointSet

# metres, of an adult of 1.75 m, a guess; recorded skeletons differ by a third in trunk and
# shoulders
ADULT_M = {
    "rhip": 0.11, "rknee": 0.42, "rankle": 0.42, "lhip": 0.11, "lknee": 0.42, "lankle": 0.42,
    "spine": 0.24, "thorax": 0.24, "head": 0.28, "lshoulder": 0.18, "lelbow": 0.29,
    "lwrist": 0.26, "rshoulder": 0.18, "relbow": 0.29, "rwrist": 0.26,
}  # fmt: skip
UNIT_MM = 1320.0
"""Their trunk and leg: what 1 is in canonical space."""
_SIDES = ("l", "r")


class _Draw:
    """Random angles in radians for `count` bodies."""

    def __init__(self, count: int, random: torch.Generator) -> None:
        self._count, self._random = count, random

    def some(self, share: float) -> Tensor:
        """1 for a share of the bodies, else 0."""
        return (torch.rand(self._count, generator=self._random) < share).float()

    def normal(self, deg: float) -> Tensor:
        return torch.randn(self._count, generator=self._random) * math.radians(deg)

    def between(self, low_deg: float, high_deg: float) -> Tensor:
        low, high = math.radians(low_deg), math.radians(high_deg)
        return torch.empty(self._count).uniform_(low, high, generator=self._random)


class _Posture(NamedTuple):
    """What all joints of a body share; angles in radians, shares 0 or 1."""

    tuck: Tensor
    both: Tensor  # both legs alike
    trunk: Tensor  # bent forward
    lean: Tensor  # to the side
    twist: Tensor
    arms: Tensor  # moved at all


def _bend(joint: str, posture: _Posture, draw: _Draw) -> Tensor:
    """Angles (N, 3) about forward, left and up of the bone that ends in `joint`."""
    angle = torch.stack([draw.normal(6), draw.normal(6), draw.normal(6)], -1)
    none = torch.zeros_like(posture.tuck)
    alone = 1 - posture.both
    if joint == "spine":
        return angle + torch.stack([posture.lean, posture.trunk, posture.twist], -1)
    if joint[1:] == "knee":
        lifted = posture.both * posture.tuck + alone * draw.some(0.5) * draw.between(0, 75)
        aside = posture.lean * 0.5 + draw.some(0.4) * draw.normal(15)
        return angle + torch.stack([aside, -lifted, none], -1)
    if joint[1:] == "ankle":
        bent = posture.both * posture.tuck * draw.between(50, 80) / math.radians(45)
        bent = bent + alone * draw.some(0.5) * draw.between(0, 70)
        return angle + torch.stack([none, bent, none], -1)
    if joint[1:] == "elbow":
        side = 1.0 if joint[0] == "l" else -1.0
        spread = side * posture.arms * draw.between(0, 70) + draw.normal(12)
        raised = posture.arms * draw.between(-20, 80) + draw.normal(12)
        return angle + torch.stack([spread, -raised, draw.normal(12)], -1)
    if joint[1:] == "wrist":
        return angle + torch.stack([none, -draw.some(0.4) * draw.between(0, 80), none], -1)
    return angle


class Bodies:
    """Draws poses in metres, pelvis at the origin, in body-level axes with z up."""

    def __init__(self, joints_mm: Float[Tensor, "N J 3"], joint_set: JointSet) -> None:
        self.joint_set = joint_set
        joints = joints_mm.double() / 1000
        joints = (joints - joints[:, :1]) @ body_rotation(joints, joint_set).mT
        parents = torch.tensor([max(p, 0) for p in joint_set.parents])
        self._bones = (joints - joints[:, parents]).float()
        self._adult = torch.tensor([ADULT_M.get(j, 0.0) for j in joint_set.joints])
        lower = {"rhip", "rknee", "rankle", "lhip", "lknee", "lankle"}
        self._lower = torch.tensor([j in lower for j in joint_set.joints])
        self._mirror = torch.tensor(joint_set.mirrored)

    def draw(self, count: int, random: torch.Generator) -> Float[Tensor, "{count} J 3"]:
        """`count` new poses in metres, body frame (x forward, y left, z up), pelvis at the origin.
        A recorded pose, its upper half perhaps of another, is mirrored at random and stretched;
        some two thirds are bent too, unless a knee would bend forwards. `random` advances and
        determines the result.
        """
        frames = torch.randint(len(self._bones), (2, count), generator=random)
        same = torch.rand(count, generator=random) < 0.6
        frames[1] = torch.where(same, frames[0], frames[1])
        bones = torch.where(self._lower[:, None], self._bones[frames[0]], self._bones[frames[1]])
        bones = self._resized(self._mirrored(bones, random), random)
        changed = from_bones(bones, self.joint_set, random_bends(count, self.joint_set, random))
        plain = from_bones(bones, self.joint_set)
        bent = torch.rand(count, generator=random) < 0.65
        bent &= knees_bend_back(changed, self.joint_set)
        return torch.where(bent[:, None, None], changed, plain)

    def _mirrored(self, bones: Tensor, random: torch.Generator) -> Tensor:
        flip = torch.rand(len(bones), 1, 1, generator=random) < 0.5
        return torch.where(flip, bones[:, self._mirror] * bones.new_tensor([1.0, -1.0, 1.0]), bones)

    def _resized(self, bones: Tensor, random: torch.Generator) -> Tensor:
        count, joints, _ = bones.shape
        length = (bones.square().sum(-1) + TINY).sqrt()
        mix = torch.rand(count, 1, generator=random).mul(1.6).clamp_max(1)
        wanted = (1 - mix) * length + mix * self._adult
        spread = 0.07 * torch.randn(count, joints, generator=random)
        spread = (spread + spread[:, self._mirror]) / math.sqrt(2)  # both sides alike
        size = torch.empty(count, 1).uniform_(0.8, 1.15, generator=random)
        return unit(bones) * (wanted * (1 + spread) * size)[..., None]


def random_bends(
    count: int, joint_set: JointSet, random: torch.Generator
) -> Float[Tensor, "{count} J 3 3"]:
    """A random rotation for every bone, in body axes (x forward, y left, z up), that looks like
    movement. Given to `from_bones`, it turns all bones after that one too; a knee may bend forwards
    (`knees_bend_back`). `random` advances.
    """
    draw = _Draw(count, random)
    tuck = draw.some(0.4) * draw.between(0, 75)
    posture = _Posture(
        tuck=tuck,
        both=draw.some(0.5),
        trunk=draw.some(0.5) * draw.between(-10, 70) + tuck * 0.4,
        lean=draw.some(0.5) * draw.normal(20),
        twist=draw.some(0.5) * draw.normal(20),
        arms=draw.some(0.5),
    )
    angle = torch.stack([_bend(name, posture, draw) for name in joint_set.joints], 1)
    turns = [rotation_about(axis, angle[..., axis]) for axis in range(3)]
    return turns[2] @ turns[0] @ turns[1]


def from_bones(
    bones: Float[Tensor, "*batch J 3"],
    joint_set: JointSet,
    bends: Float[Tensor, "*batch J 3 3"] | None = None,
) -> Float[Tensor, "*batch J 3"]:
    """Joints from bones, each the vector from parent to child at the index of the child, in their
    frame and unit, the root at 0. `bends` rotates each bone and all bones after it; the root's bone
    and bend are ignored. The joint set must list parents before children.
    """
    at: list[Tensor] = []
    turned: list[Tensor] = []
    for child, parent in enumerate(joint_set.parents):
        if parent < 0:
            at.append(torch.zeros_like(bones[..., child, :]))
            turned.append(torch.eye(3).to(bones).expand(*bones.shape[:-2], 3, 3))
            continue
        assert parent < child  # the lifter's set lists every parent before its children
        turn = turned[parent] if bends is None else turned[parent] @ bends[..., child, :, :]
        turned.append(turn)
        at.append(at[parent] + (turn @ bones[..., child, :, None])[..., 0])
    return torch.stack(at, -2)


def knees_bend_back(
    joints: Float[Tensor, "*batch J 3"], joint_set: JointSet
) -> Bool[Tensor, "*batch"]:
    """Whether both knees of each body bend backwards, as knees do, are straight, or bend forwards
    by less than some 9 degrees. Any unit and frame; unknown (NaN) joints give False.
    """
    at = {name: joints[..., i, :] for i, name in enumerate(joint_set.joints)}
    left = unit(at["lhip"] - at["rhip"])
    fine = torch.ones(joints.shape[:-2], dtype=torch.bool)
    for side in _SIDES:
        thigh = unit(at[side + "knee"] - at[side + "hip"])
        shank = unit(at[side + "ankle"] - at[side + "knee"])
        fine &= (cross(thigh, shank) * left).sum(-1) > -0.15
    return fine

"""Joint sets: the joints of a pose, their tree, and the map from one set to another.

The joint set is data: datasets, engines and messages name their set; the number of joints is never
fixed in code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Array as Array
from cvsf.shapes import Float, Shaped


@dataclass(frozen=True, slots=True)
class JointSet:
    """An ordered set of named joints; `parents[i]` is the index of i's parent, -1 at a root."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """The position of `joint`; ValueError if it is not in the set."""
        if joint not in self.joints:
            raise ValueError(f"joint {joint!r} is not in joint set {self.name}")
        return self.joints.index(joint)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) pairs of joint indices, in the order of the children, without roots."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint the index of the same one on the other side, by its name; its own index in
        the middle.
        """
        return tuple(
            self.index(_OTHER_SIDE.get(j[0], j[0]) + j[1:] if _sided(j) else j) for j in self.joints
        )

    @property
    def limbs(self) -> tuple[tuple[int, ...], ...]:
        """The moving joints of both arms (elbows, wrists), and those of both legs (knees and all
        below), where the set has them.
        """
        return tuple(
            found
            for limb in (_ARM, _LEG)
            if (found := tuple(i for i, j in enumerate(self.joints) if _sided(j) and j[1:] in limb))
        )


_OTHER_SIDE = {"l": "r", "r": "l"}
_ARM, _LEG = {"elbow", "wrist"}, {"knee", "ankle", "bigtoe", "smalltoe", "heel"}
_SIDED = frozenset(
    {"hip", "knee", "ankle", "shoulder", "elbow", "wrist"}
    | {"eye", "ear", "bigtoe", "smalltoe", "heel"}
)


def _sided(joint: str) -> bool:
    return joint[0] in _OTHER_SIDE and joint[1:] in _SIDED


def _joint_set(name: str, joints: str, bones: str) -> JointSet:
    """A set from 'a b c' and bones 'a>b b>c' (parent > child)."""
    names = tuple(joints.split())
    parent_of = {child: parent for parent, child in (bone.split(">") for bone in bones.split())}
    return JointSet(
        name, names, tuple(names.index(parent_of[j]) if j in parent_of else -1 for j in names)
    )


_LEGS = "lhip>lknee lknee>lankle rhip>rknee rknee>rankle "
_LIMBS = _LEGS + "lshoulder>lelbow lelbow>lwrist rshoulder>relbow relbow>rwrist "
_TRUNK = "hip>lhip hip>rhip thorax>lshoulder thorax>rshoulder "
_FACE = "nose>leye leye>lear nose>reye reye>rear "

H36M_16 = _joint_set(
    "h36m-16",
    "hip rhip rknee rankle lhip lknee lankle spine thorax head "
    "lshoulder lelbow lwrist rshoulder relbow rwrist",
    _LIMBS + _TRUNK + "hip>spine spine>thorax thorax>head",
)
"""The lifter's set."""

H36M_17 = _joint_set(
    "h36m-17",
    "hip rhip rknee rankle lhip lknee lankle spine thorax neck head "
    "lshoulder lelbow lwrist rshoulder relbow rwrist",
    _LIMBS + _TRUNK + "hip>spine spine>thorax thorax>neck neck>head",
)
COCO_17 = _joint_set(
    "coco-17",
    "nose leye reye lear rear lshoulder rshoulder lelbow relbow lwrist rwrist "
    "lhip rhip lknee rknee lankle rankle",
    _LIMBS + _FACE + "lhip>rhip lshoulder>rshoulder rshoulder>rhip rear>rshoulder",
)
HALPE_26 = _joint_set(
    "halpe-26",
    "nose leye reye lear rear lshoulder rshoulder lelbow relbow lwrist rwrist "
    "lhip rhip lknee rknee lankle rankle head neck hip "
    "lbigtoe rbigtoe lsmalltoe rsmalltoe lheel rheel",
    _LIMBS + _FACE + "hip>lhip hip>rhip hip>neck neck>lshoulder neck>rshoulder neck>head neck>nose "
    "lankle>lheel lankle>lbigtoe lbigtoe>lsmalltoe rankle>rheel rankle>rbigtoe rbigtoe>rsmalltoe",
)
MPII_16 = _joint_set(
    "mpii-16",
    "rankle rknee rhip lhip lknee lankle hip thorax neck head "
    "rwrist relbow rshoulder lshoulder lelbow lwrist",
    _LIMBS + _TRUNK + "hip>thorax thorax>neck neck>head",
)

JOINT_SETS = {s.name: s for s in (H36M_16, H36M_17, COCO_17, HALPE_26, MPII_16)}

_MIDPOINT_OF = {
    "hip": ("lhip", "rhip"),
    "thorax": ("lshoulder", "rshoulder"),
    "spine": ("hip", "thorax"),
}
"""Joints that a set may lack, and the two whose midpoint replaces them."""


def joint_set(name: str) -> JointSet:
    """The registered set of that name; ValueError lists the registered names."""
    if name not in JOINT_SETS:
        raise ValueError(f"joint set is {name!r}, expected one of {', '.join(JOINT_SETS)}")
    return JOINT_SETS[name]


def remap(
    keypoints: Shaped[npt.NDArray[Any], "*batch S D"],
    confidence: Shaped[npt.NDArray[Any], "*batch S"],
    source: Sequence[str],
    target: Sequence[str],
) -> tuple[Float[Array, "*batch T D"], Float[Array, "*batch T"]]:
    """Keypoints and confidence of joints `source`, as joints `target`, float32; D may be 2 or 3, in
    any unit.

    A joint that the source lacks is the midpoint of its two neighbours with the lesser confidence
    (hip, thorax, spine), else it is at the origin with confidence 0. ValueError for a source joint
    of no registered set.
    """
    known = {joint for s in JOINT_SETS.values() for joint in s.joints}
    if unknown := [joint for joint in source if joint not in known]:
        raise ValueError(
            f"joint {unknown[0]!r} is in no registered joint set ({', '.join(JOINT_SETS)})"
        )
    points = {j: (keypoints[..., i, :], confidence[..., i]) for i, j in enumerate(source)}

    def read(joint: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if joint in points:
            return points[joint]
        if joint not in _MIDPOINT_OF:
            return np.zeros_like(keypoints[..., 0, :]), np.zeros_like(confidence[..., 0])
        (a, a_confidence), (b, b_confidence) = (
            read(neighbour) for neighbour in _MIDPOINT_OF[joint]
        )
        return (a + b) / 2, np.minimum(a_confidence, b_confidence)

    read_joints = [read(joint) for joint in target]
    return (
        np.stack([p for p, _ in read_joints], -2).astype(np.float32),
        np.stack([c for _, c in read_joints], -1).astype(np.float32),
    )

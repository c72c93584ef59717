"""Residuals of joints: reprojection, bones of constant length, the lifter's pose.

Each kind is added to the normal equations of the joints, in its own standard deviations.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from cvsf.multiview.reprojection import ReprojectionResiduals
from cvsf.multiview.rotation import align, skew
from cvsf.shapes import Float, Int
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]

BONE_SIGMA, LIFTER_SIGMA = 0.06, 0.25
"""Standard deviations of a bone's length and of a joint of the lifter's pose, in mean bones (some
0.3 m); guesses, not measured."""
POSE_CAUCHY = 8.0
"""Squared residual of a whole pose, in standard deviations, at which it has weight 1/2 (Cauchy
kernel). One weight for all joints: for a person upside down, the lifter is wrong in all of them. A
guess, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bones:
    """The bones of a body; a left bone and the right one share one of M lengths."""

    incidence: Float[Real, "B J"]
    """+1 at the child, -1 at the parent."""
    measure: Int[npt.NDArray[np.intp], "B"]
    """Index of the bone's length, 0 to M - 1."""
    pairs: Float[Real, "B J*J"] = field(repr=False)
    """Outer products of incidence."""

    @property
    def measures(self) -> int:
        """M, the number of different bone lengths."""
        return int(self.measure.max()) + 1


@cache
def bones_of(joint_set: JointSet) -> Bones:
    """The bones of a joint set as matrices; a left bone and its right one have the same index of a
    length. Kept for each set, so do not change the arrays.
    """
    incidence = np.zeros((len(joint_set.bones), len(joint_set)))
    names: list[frozenset[int]] = []
    measure = []
    mirrored = joint_set.mirrored
    for b, (parent, child) in enumerate(joint_set.bones):
        incidence[b, child], incidence[b, parent] = 1, -1
        name = frozenset({child, mirrored[child]})
        if name not in names:
            names.append(name)
        measure.append(names.index(name))
    pairs = incidence[:, :, None] * incidence[:, None, :]
    return Bones(
        incidence=incidence, measure=np.array(measure), pairs=pairs.reshape(len(measure), -1)
    )


def measures_of(joints: Float[Real, "N J 3"], bones: Bones) -> Float[Real, "M"]:
    """The M bone lengths without unit: medians over the instants, left and right averaged, scaled
    so that the mean bone is 1. Joints may have any unit and any frame; none may be NaN.
    """
    length = np.median(np.linalg.norm(bones.incidence @ joints, axis=-1), axis=0)
    measures = np.bincount(bones.measure, length) / np.bincount(bones.measure)
    return np.asarray(measures / measures[bones.measure].mean())


@dataclass(slots=True)
class NormalEquations:
    """Normal equations of the joints of N instants; D is 3 J."""

    matrix: Float[Real, "N D D"]
    right: Float[Real, "N D"]


def empty_normal(instants: int, joints: int) -> NormalEquations:
    """Normal equations of all zeros for `instants` instants and 3 unknowns for each of `joints`
    joints, to which residuals are added.
    """
    size = 3 * joints
    return NormalEquations(np.zeros((instants, size, size)), np.zeros((instants, size)))


def add_reprojection(normal: NormalEquations, residuals: ReprojectionResiduals) -> None:
    """Add the reprojection residuals to `normal`, in place: a 3 x 3 block for each joint. The right
    side is the negative gradient, so that the solution is the step to add to the joints.
    """
    instants, _, joints = residuals.weight.shape
    weighted = residuals.weight[..., None, None] * residuals.by_joint
    rows = [
        array.transpose(0, 2, 1, 3, 4).reshape(instants, joints, -1, 3)
        for array in (weighted, residuals.by_joint)
    ]
    transposed = np.swapaxes(rows[0], -1, -2)
    blocks = transposed @ rows[1]
    each = np.arange(joints)
    matrix = normal.matrix.reshape(instants, joints, 3, joints, 3)
    matrix[:, each, :, each, :] += np.swapaxes(blocks, 0, 1)
    residual = residuals.residual.transpose(0, 2, 1, 3).reshape(instants, joints, -1, 1)
    normal.right -= (transposed @ residual).reshape(instants, -1)


def of_cameras(
    weighted: Float[Real, "N V J 2 C"],
    by_camera: Float[Real, "N V J 2 C"],
    residual: Float[Real, "N V J 2"],
) -> tuple[Float[Real, "N V C C"], Float[Real, "N V C"]]:
    """The normal equations of each camera alone, from derivatives by its C unknowns, as they are
    and weighted: matrix, and right side, the negative gradient.
    """
    flat = by_camera.reshape(*residual.shape[:2], -1, by_camera.shape[-1])
    transposed = np.swapaxes(weighted.reshape(flat.shape), -1, -2)
    right = transposed @ residual.reshape(*residual.shape[:2], -1, 1)
    return transposed @ flat, -right[..., 0]


def bone_residuals(
    bones: Bones, lengths: Float[Real, "*#N M"], joints: Float[Real, "N J 3"]
) -> tuple[Float[Real, "N B"], Float[Real, "N B 3"]]:
    """Length of each bone minus its constant length, in the unit of the joints: positive if too
    long. Second, its unit direction from parent to child, in the frame of the joints; a zero vector
    for a bone of length 0. `lengths` has that unit too; each instant may have its own.
    """
    along = bones.incidence @ joints
    length = np.maximum(np.linalg.norm(along, axis=-1), 1e-6)
    return length - lengths[..., bones.measure], along / length[..., None]


def add_bones(
    normal: NormalEquations,
    bones: Bones,
    lengths: Float[Real, "*#N M"],
    joints: Float[Real, "N J 3"],
    sigma: float,
) -> tuple[Float[Real, "N B"], Float[Real, "N B 3"]]:
    """Add the bone residuals to `normal`, in place, linearised about the joints. Lengths (M, one
    for a left and its right bone), joints and `sigma` have one unit.

    Returns the residuals, length minus constant length over `sigma` (positive if too long, no
    unit), and the unit directions from parent to child in the frame of the joints, over `sigma`.
    """
    instants, count = len(joints), joints.shape[1]
    extra, direction = bone_residuals(bones, lengths, joints)
    extra, direction = extra / sigma, direction / sigma
    outer = (direction[..., :, None] * direction[..., None, :]).reshape(instants, -1, 9)
    blocks = np.swapaxes(outer, 1, 2) @ bones.pairs  # (N, 9, J * J)
    blocks = blocks.reshape(instants, 3, 3, count, count).transpose(0, 3, 1, 4, 2)
    normal.matrix += blocks.reshape(instants, 3 * count, 3 * count)
    pull = bones.incidence.T @ (extra[..., None] * direction)
    normal.right -= pull.reshape(instants, -1)
    return extra, direction


def lifted_target(body: Float[Real, "N J 3"], joints: Float[Real, "N J 3"]) -> Float[Real, "N J 3"]:
    """The lifter's pose `body` after the rigid motion, one per instant, that brings it closest to
    the joints (Umeyama 1991); not scaled, so both have one unit. Result in the frame of the joints.
    """
    return align(body, joints).apply(body)


def add_lifted(
    normal: NormalEquations,
    target: Float[Real, "N J 3"],
    joints: Float[Real, "N J 3"],
    sigma: float,
) -> None:
    """Add the residuals to the aligned lifter's pose `target` to `normal`, in place, with one
    robust weight for all joints; the step they ask for goes from the joints to the target. Joints,
    target and `sigma` have one unit.

    The pose is aligned with these joints, so a rigid motion of all of them costs nothing to first
    order: its six directions are projected out (variable projection).
    """
    instants, count = joints.shape[:2]
    away = joints - joints.mean(1, keepdims=True)
    shifts = np.broadcast_to(np.eye(3), (instants, count, 3, 3))
    rigid = np.concatenate([shifts, -skew(away)], -1).reshape(instants, 3 * count, 6)
    rigid, _ = np.linalg.qr(rigid)
    square = np.square((joints - target) / sigma).sum((1, 2))
    information = sigma**-2 / (1 + square / POSE_CAUCHY)
    weighted = information[:, None, None] * rigid
    each = np.arange(3 * count)
    normal.matrix[:, each, each] += information[:, None]
    normal.matrix -= weighted @ np.swapaxes(rigid, 1, 2)
    pull = (target - joints).reshape(instants, -1, 1)
    pull = information[:, None, None] * pull - weighted @ (np.swapaxes(rigid, 1, 2) @ pull)
    normal.right += pull[..., 0]


def lifted_cost(
    target: Float[Real, "N J 3"], joints: Float[Real, "N J 3"], sigma: float
) -> Float[Real, "N"]:
    """Cauchy cost of each instant's whole pose, without unit: from the sum of squared distances to
    the aligned lifter's pose `target`, over `sigma`. All have one unit and frame.
    """
    square = np.square((joints - target) / sigma).sum((1, 2))
    return np.asarray(POSE_CAUCHY * np.log1p(square / POSE_CAUCHY))

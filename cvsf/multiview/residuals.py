"""What speaks for where joints are: pixels, bones that keep their length, the lifter's pose.

Each kind of evidence adds to the normal equations of the joints; residuals are in standard
deviations of their kind.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from cvsf.multiview.reprojection import Seen
from cvsf.multiview.rotation import align, skew
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]

BONE_SIGMA, LIFTER_SIGMA = 0.06, 0.25
"""In mean bones, some 0.3 m: how much a bone seems to change, how far the lifter's pose is off."""
POSE_CAUCHY = 8.0
"""Square of the residual of a whole pose, in standard deviations, at which it counts half: upside
down, a lifter is wrong as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bones:
    """Which bones a body has, and which of them are the two sides of one measure."""

    incidence: Real  # (B, J): +1 at the child, -1 at the parent
    measure: npt.NDArray[np.intp]  # (B,) which of the M measures a bone is
    pairs: Real = field(repr=False)  # (B, J * J) outer products of incidence

    @property
    def measures(self) -> int:
        """How many different lengths there are."""
        return int(self.measure.max()) + 1


@cache
def bones_of(joint_set: JointSet) -> Bones:
    """Left and right are of one length."""
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


def measures_of(joints: Real, bones: Bones) -> Real:
    """Lengths (M,) of the bodies (N, J, 3), as the median has them; the mean bone is made 1."""
    length = np.median(np.linalg.norm(bones.incidence @ joints, axis=-1), axis=0)
    measures = np.bincount(bones.measure, length) / np.bincount(bones.measure)
    return np.asarray(measures / measures[bones.measure].mean())


@dataclass(slots=True)
class Normal:
    """Normal equations of the joints of N instants: `matrix` (N, 3J, 3J), `right` (N, 3J)."""

    matrix: Real
    right: Real
    cost: float = 0.0


def empty_normal(instants: int, joints: int) -> Normal:
    """Nothing known yet."""
    return Normal(np.zeros((instants, 3 * joints, 3 * joints)), np.zeros((instants, 3 * joints)))


def add_pixels(normal: Normal, seen: Seen) -> None:
    """The pixels' part, a 3 x 3 block for each joint."""
    instants, _, joints = seen.weight.shape
    weighted = seen.weight[..., None, None] * seen.by_joint
    blocks = np.einsum("nvjra,nvjrb->njab", weighted, seen.by_joint, optimize=True)
    each = np.arange(joints)
    matrix = normal.matrix.reshape(instants, joints, 3, joints, 3)
    matrix[:, each, :, each, :] += np.swapaxes(blocks, 0, 1)
    normal.right -= np.einsum("nvjra,nvjr->nja", weighted, seen.residual).reshape(instants, -1)


def stretched(bones: Bones, lengths: Real, joints: Real) -> tuple[Real, Real]:
    """How much longer than `lengths` (M,) each bone is, (N, B), and its direction (N, B, 3)."""
    along = bones.incidence @ joints
    length = np.maximum(np.linalg.norm(along, axis=-1), 1e-6)
    return length - lengths[bones.measure], along / length[..., None]


def add_bones(
    normal: Normal, bones: Bones, lengths: Real, joints: Real, sigma: float
) -> tuple[Real, Real]:
    """Bones that keep their length (first-order); residual (N, B) and directions, in sigmas."""
    instants, count = len(joints), joints.shape[1]
    extra, direction = stretched(bones, lengths, joints)
    extra, direction = extra / sigma, direction / sigma
    outer = (direction[..., :, None] * direction[..., None, :]).reshape(instants, -1, 9)
    blocks = np.swapaxes(outer, 1, 2) @ bones.pairs  # (N, 9, J * J)
    blocks = blocks.reshape(instants, 3, 3, count, count).transpose(0, 3, 1, 4, 2)
    normal.matrix += blocks.reshape(instants, 3 * count, 3 * count)
    pull = bones.incidence.T @ (extra[..., None] * direction)
    normal.right -= pull.reshape(instants, -1)
    return extra, direction


def lifted_target(body: Real, joints: Real) -> Real:
    """The lifter's pose (N, J, 3) laid over the joints found so far, rotation and shift only."""
    rotation, shift = align(body, joints, np.ones(joints.shape[:2]))
    return np.asarray(body @ np.swapaxes(rotation, -1, -2) + shift[:, None])


def add_lifted(normal: Normal, target: Real, joints: Real, sigma: float) -> None:
    """A pull toward the lifter's pose, blind to where the body stands, doubted as a whole.

    The pose was laid over these very joints, so moving or turning all of them together costs
    nothing to first order: those six directions are projected out (variable projection).
    """
    instants, count = joints.shape[:2]
    away = joints - joints.mean(1, keepdims=True)
    shifts = np.broadcast_to(np.eye(3), (instants, count, 3, 3))
    rigid = np.concatenate([shifts, -skew(away)], -1).reshape(instants, 3 * count, 6)
    rigid, _ = np.linalg.qr(rigid)
    free = np.eye(3 * count) - rigid @ np.swapaxes(rigid, 1, 2)
    square = np.square((joints - target) / sigma).sum((1, 2))
    information = sigma**-2 / (1 + square / POSE_CAUCHY)
    normal.matrix += information[:, None, None] * free
    pull = free @ (target - joints).reshape(instants, -1, 1)
    normal.right += information[:, None] * pull[..., 0]


def lifted_cost(target: Real, joints: Real, sigma: float) -> Real:
    """Cauchy's cost of every instant's whole pose, (N,)."""
    square = np.square((joints - target) / sigma).sum((1, 2))
    return np.asarray(POSE_CAUCHY * np.log1p(square / POSE_CAUCHY))

"""The geometry of bodies and weak-perspective views: rotations, 3x3 systems, the body frame and its
unit.

All of it is closed form and batched, made of operations that every backend has: no SVD, no
data-dependent loop.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.skeleton import JointSet

TINY = 1e-9
"""Only used as a lower bound: exporters drop the addition of so small a number (docs/log.md,
2026-11-22, Export).
"""
_TRUNK = ("hip", "thorax", "lhip", "rhip", "lshoulder", "rshoulder")


def unit(vector: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    """The vector at length one; one shorter than about 3e-5 stays shorter, a zero vector stays
    zero.
    """
    return vector / vector.square().sum(-1, keepdim=True).clamp_min(TINY).sqrt()


def _constant(
    rows: int, columns: int, entries: dict[tuple[int, int], float]
) -> Float[Tensor, "{rows} {columns}"]:
    table = torch.zeros(rows, columns)
    for (row, column), value in entries.items():
        table[row, column] = value
    return table


_NEXT = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
# products of two vectors (9) to their cross product, a vector to its skew matrix (9)
_CROSS = _constant(
    9, 3, {(3 * j + k, i): 1.0 for i, j, k in _NEXT} | {(3 * k + j, i): -1.0 for i, j, k in _NEXT}
)
_SKEW = _constant(
    3, 9, {(i, 3 * k + j): 1.0 for i, j, k in _NEXT} | {(i, 3 * j + k): -1.0 for i, j, k in _NEXT}
)
_IDENTITY = torch.eye(3).flatten()
# a vector s and its products s_i s_j (3 + 9) to S + S^2 / 2, S its skew matrix (9), and |s|^2:
# S^2 = s s^T - |s|^2
_CAYLEY = torch.zeros(12, 10)
_CAYLEY[:3, :9], _CAYLEY[3:, :9] = _SKEW, torch.eye(9) / 2
_CAYLEY[3::4, 9], _CAYLEY[3::4, :9] = 1.0, _CAYLEY[3::4, :9] - _IDENTITY / 2
MINORS = _constant(
    9,
    36,
    {
        (3 * row + column, 9 * part + 3 * j + i): 1.0
        for i, a, b in _NEXT
        for j, c, d in _NEXT
        for part, (row, column) in enumerate(((a, c), (b, d), (a, d), (b, c)))
    },
)
"""A 3x3 matrix (9) to the four factors of each entry of its adjugate: a b - c d (4 x 9)."""


def outer(a: Float[Tensor, "*batch D"], b: Float[Tensor, "*batch E"]) -> Float[Tensor, "*batch F"]:
    """The outer product, row by row: all a_i b_k, in which bilinear formulas are linear."""
    return (a[..., :, None] * b[..., None, :]).flatten(-2)


def square_matrix(entries: Float[Tensor, "*batch F"]) -> Float[Tensor, "*batch D D"]:
    """The square matrix of these entries, row by row; their number is a square, such as 9. It
    shares memory with `entries` where that is possible.
    """
    side = math.isqrt(entries.shape[-1])
    return entries.reshape(*entries.shape[:-1], side, side)


def cross(a: Float[Tensor, "*batch 3"], b: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """The cross product a x b (right-handed) along the last axis."""
    return outer(a, b) @ _CROSS.to(a)


def rotation_from_6d(six: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation with these rows: the first three numbers at unit length; the last three, made
    orthogonal to it; the cross product of both. It is continuous, unlike axis-angle (Zhou et al.
    2019). Zeros, or parallel halves, give no rotation, but no error.
    """
    first = unit(six[..., :3])
    second = six[..., 3:]
    second = unit(second - (first * second).sum(-1, keepdim=True) * first)
    return torch.stack([first, second, cross(first, second)], -2)


def rotation_from_axis_angle(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rodrigues' formula: the right-handed rotation about a vector by its length in radians, the
    form of the paper's lifter. A zero vector gives the identity.
    """
    angle = vector.square().sum(-1, keepdim=True).clamp_min(TINY).sqrt()
    skew = square_matrix(vector / angle @ _SKEW.to(vector))
    angle = angle[..., None]
    identity = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return identity + angle.sin() * skew + (1 - angle.cos()) * (skew @ skew)


def rotation_from_step(step: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The Cayley transform of a small rotation vector (radians, right-handed): a proper rotation
    about it that equals the exponential map to first order. The angle is 2 atan(length / 2).
    """
    terms = torch.cat([step, outer(step, step)], -1) @ _CAYLEY.to(step)
    share = 4 / (4 + terms[..., 9:])
    return square_matrix(terms[..., :9] * share + _IDENTITY.to(step))


def rotation_about(axis: int, angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation R about coordinate axis 0, 1 or 2, right-handed for R x: about axis 2, a
    positive `angle` (radians) turns the x axis to the y axis. KeyError for another axis.
    """
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = {
        0: [one, zero, zero, zero, c, -s, zero, s, c],
        1: [c, zero, s, zero, one, zero, -s, zero, c],
        2: [c, -s, zero, s, c, zero, zero, zero, one],
    }[axis]
    return square_matrix(torch.stack(rows, -1))


def solve3(
    matrix: Float[Tensor, "*batch 3 3"], right: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """The x of matrix x = right for 3x3 matrices of positive determinant, by the adjugate. A
    singular matrix gives a wrong x, not an error: its determinant counts as 1e-18.
    """
    flat = matrix.flatten(-2)
    a, b, c, d = (flat @ MINORS.to(flat)).chunk(4, -1)
    adjugate = a * b - c * d
    determinant = (flat[..., :3] * adjugate[..., ::3]).sum(-1, keepdim=True)
    x: Tensor = square_matrix(adjugate) @ right[..., None]
    return x[..., 0] / determinant.clamp_min(TINY * TINY)


def body_rotation(
    joints: Float[Tensor, "*batch J 3"], joint_set: JointSet
) -> Float[Tensor, "*batch 3 3"]:
    """body_from_joints, the rotation R into the body frame (R x for a point x): x forward, y to its
    left, z up the trunk. Joints are in any right-handed frame and unit.

    z is from pelvis to thorax; y is the sum of the lines from right to left hip and shoulder, made
    orthogonal to z. Joints at one point, or in one line, give no rotation, but no error. ValueError
    if the joint set lacks one of them.
    """
    at = {name: joints[..., joint_set.index(name), :] for name in _TRUNK}
    up = unit(at["thorax"] - at["hip"])
    left = at["lhip"] - at["rhip"] + at["lshoulder"] - at["rshoulder"]
    left = unit(left - (left * up).sum(-1, keepdim=True) * up)
    return torch.stack([cross(left, up), left, up], -2)


def unit_length(
    joints: Float[Tensor, "*batch J 3"], joint_set: JointSet
) -> Float[Tensor, "*batch"]:
    """The unit of canonical space: the length of trunk and one leg (mean of both), along the bones,
    in the unit of the joints. It is never 0: a bone counts as about 3e-5 at least. ValueError if
    the joint set lacks one of them.

    The norm of a pose shrinks when the body crouches; this length does not.
    """
    share = {"spine": 1.0, "thorax": 1.0}
    share |= {side + joint: 0.5 for side in "lr" for joint in ("knee", "ankle")}
    bones = [(joint_set.index(j), joint_set.parents[joint_set.index(j)]) for j in share]
    child, parent = (list(ends) for ends in zip(*bones, strict=True))
    length = (
        ((joints[..., child, :] - joints[..., parent, :]).square().sum(-1)).clamp_min(TINY).sqrt()
    )
    return (length * length.new_tensor(list(share.values()))).sum(-1)


def rotation_to_axis(direction: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The smallest rotation R for which R d is the optical axis (0, 0, 1), for a unit direction d
    in front of the camera (z above 0), in the view frame. It is undefined for (0, 0, -1).
    """
    axis = direction.new_tensor([0.0, 0.0, 1.0])
    skew = square_matrix(cross(direction, axis.expand_as(direction)) @ _SKEW.to(direction))
    identity = torch.eye(3, dtype=direction.dtype, device=direction.device)
    return identity + skew + skew @ skew / (1 + direction[..., 2:, None])


def weighted_centre(
    points: Float[Tensor, "*batch J D"], weight: Float[Tensor, "*batch J"]
) -> Float[Tensor, "*batch 1 D"]:
    """The weighted mean of points, in their frame and unit; the origin where all weights are 0."""
    row = weight[..., None, :]
    return row @ points / row.sum(-1, keepdim=True).clamp_min(TINY)

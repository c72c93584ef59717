"""Eq. 2 without a heatmap: the refined joint is the highest mode of its own Gaussian and the other
views' epipolar ridges.

A few reweighted least-squares steps on 2x2 systems climb to it from each likely start; no grid, no
quantisation.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.geometry import TINY, outer, squared

JOINT_SPREAD = 0.03
"""Standard deviation of a joint's Gaussian, canonical units (about 4 cm on an adult)."""
LINE_SPREAD = 0.04
STEPS = 4
_STIFF = 0.05 / JOINT_SPREAD**2  # so that nearly parallel lines do not throw a joint far away
_AHEAD = 1e-3  # by how much the mode at the joint itself must win
_USEFUL = 0.05  # squared sine of the angle between two cameras at which their line counts half

# the adjugate of a symmetric 2x2 matrix and its determinant, from its four entries
_ADJUGATE = torch.tensor([[0.0, 0, 0, 1], [0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]])


class Lines(NamedTuple):
    """Epipolar lines of joint j of view n (axis 2) in view m (axis 1)."""

    normal: Float[Tensor, "B V V 1 2"]
    offset: Float[Tensor, "B V V J"]  # of the line, along its normal
    trust: Float[Tensor, "B V V J"]


def refined(
    pose2d: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
    projected: Float[Tensor, "B V J 2"],
) -> Float[Tensor, "B V J 2"]:
    """The 2D poses, all at one scale, moved to the mode of Eq. 2; `projected` is a second place to
    start from.

    Piecewise constant in its choice of mode: callers that train treat it as a constant (detached).
    """
    lines = epipolar_lines(pose2d, confidence, view_from_canonical)
    starts = torch.stack([pose2d, projected])
    points, height = climb(starts, pose2d, confidence, lines)
    return torch.where((height[0] > height[1] + _AHEAD)[..., None], points[0], points[1])


def epipolar_lines(
    pose2d: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
) -> Lines:
    """The line of p_n passes through a = (R_m R_n^T)[:2, :2] p_n along d = (R_m R_n^T)[:2, 2].

    Cameras that look the same way have no line (d = 0), and a view has none in itself.
    """
    relative = view_from_canonical[:, :, None] @ view_from_canonical[:, None].mT
    through = pose2d[:, None] @ relative[..., :2, :2].mT
    along = relative[..., None, :2, 2]
    length = along.square().sum(-1, keepdim=True)
    normal = along @ along.new_tensor([[0.0, 1.0], [-1.0, 0.0]]) / length.clamp_min(TINY).sqrt()
    useful = length[..., 0] / (length[..., 0] + _USEFUL)
    return Lines(normal, (normal * through).sum(-1), useful * confidence[:, None])


def climb(
    start: Float[Tensor, "S B V J 2"], pose2d: Tensor, confidence: Tensor, lines: Lines
) -> tuple[Float[Tensor, "S B V J 2"], Float[Tensor, "S B V J"]]:
    """Where mean-shift ends from each start, and the height of Eq. 2's sum there."""
    each = outer(lines.normal, lines.normal)  # (B, V, V, 1, 4)
    identity = torch.tensor([1.0, 0.0, 0.0, 1.0]).to(start)
    point = start
    for _ in range(STEPS):
        near, ridge, distance = heights(point, pose2d, confidence, lines)
        near, ridge = near / JOINT_SPREAD**2, ridge / LINE_SPREAD**2
        matrix = (ridge[..., None] * each).sum(-3) + near.clamp_min(_STIFF)[..., None] * identity
        # moves are measured from the present point, so a joint without any pull stays
        pull = near[..., None] * (pose2d - point)
        pull = pull - ((ridge * distance)[..., None] * lines.normal).sum(-3)
        adjugate = matrix @ _ADJUGATE.to(matrix)
        determinant = (matrix * adjugate).sum(-1, keepdim=True) / 2
        move = (squared(adjugate) @ pull[..., None])[..., 0]
        point = point + move / determinant.clamp_min(TINY * TINY)
    near, ridge, _ = heights(point, pose2d, confidence, lines)
    return point, near + ridge.sum(-2)


def heights(
    point: Float[Tensor, "S B V J 2"], pose2d: Tensor, confidence: Tensor, lines: Lines
) -> tuple[Tensor, Tensor, Tensor]:
    """The summands of Eq. 2 at a point: its own Gaussian (S B V J), one ridge per view (S B V V J),
    and line distances.
    """
    own = (point - pose2d).square().sum(-1)
    distance = (lines.normal * point[..., None, :, :]).sum(-1) - lines.offset
    near = confidence * (own / (-2 * JOINT_SPREAD**2)).exp()
    return near, lines.trust * (distance.square() / (-2 * LINE_SPREAD**2)).exp(), distance

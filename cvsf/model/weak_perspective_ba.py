"""Bundle adjustment of one body and V weak-perspective cameras, by closed-form alternation.

The lifted poses and rotations are the start and the priors; a fixed number of rounds and no SVD, so
that all of it is part of the compiled graph.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.geometry import MINORS, TINY, outer, rotation_from_step, solve3, squared

ROUNDS = 12
OVERSHOOT = 0.7
"""Over-relaxation of the joints, as alternation converges slowly: 8 rounds without it and 12 with
it have 32.2 and 28.4 mm on four still views, 1.0 is worse (docs/log.md, 2026-11-22).
"""
POSE_PRIOR = 0.04
"""Weight of a lifted joint against a view of confidence 1: (2D error / lifting error) squared. A
guess, not measured.
"""
ROTATION_PRIOR = 0.03
"""Weight of a lifted rotation with two views; it falls with the fifth power of their number
(docs/log.md, 2026-11-22).
"""
DAMPING = 0.01  # of the cameras' step; a guess, not measured
OUTLIER = 0.05
"""Residual, in canonical units, at which a joint of a view has weight 1/2 (Cauchy). A guess, not
measured.
"""

# parts of a camera's step, linear in the moments (3x5) of the body in its axes with itself and with
# its 2D pose: normal matrix (9), right-hand side from the 2D pose and from the
# body (3 each), and the two sums whose ratio is the scale
_STEP = torch.zeros(15, 17)
for _row, _column, _value in (
    *((12, 0, 1), (12, 4, 1), (0, 8, 1), (6, 8, 1)),
    *((2, 2, -1), (2, 6, -1), (7, 5, -1), (7, 7, -1)),
    *((14, 9, -1), (13, 10, 1), (4, 11, 1), (8, 11, -1)),
    *((11, 12, -1), (10, 13, 1), (1, 14, 1), (5, 14, -1)),
    *((3, 15, 1), (9, 15, 1), (0, 16, 1), (6, 16, 1)),
):
    _STEP[_row, _column] = _value
_TURN = torch.zeros(9, 3)
for _column, (_plus, _minus) in enumerate(((7, 5), (2, 6), (3, 1))):
    _TURN[_plus, _column], _TURN[_minus, _column] = 0.5, -0.5


# from a view's I - d d^T, d its depth axis, to the factors of the adjugate (36) and the first row
# (3) of a joint's 3x3 system; both are linear in it, so the views' can be summed
_SYSTEM = torch.cat([MINORS, torch.eye(9)[:, :3]], 1)
_IDENTITY = torch.eye(3).flatten()


class ScaledOrthographicCameras(NamedTuple):
    """Scaled-orthographic cameras with first-order perspective (Tomasi and Kanade 1992); scale is
    1 / distance in canonical units.
    """

    view_from_canonical: Float[Tensor, "*batch 3 3"]
    scale: Float[Tensor, "*batch 1 1"]
    shift: Float[Tensor, "*batch 2 1"]


class _Priors(NamedTuple):
    """The lifted rotation of every view, and its weight in a step."""

    rotation: Float[Tensor, "N 3 3"]
    hold: Float[Tensor, "N 1"]
    held: Float[Tensor, "N 9"]  # with the damping, times the identity


def agree(
    prior: Float[Tensor, "B J 3"],
    prior_rotation: Float[Tensor, "B V 3 3"],
    plane: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    rounds: int = ROUNDS,
) -> tuple[Float[Tensor, "B J 3"], ScaledOrthographicCameras, Float[Tensor, "B V J"]]:
    """Body and cameras that fit all views together, and confidences times inlier weights.

    Alternates between the cameras (one Gauss-Newton step each) and the joints (3x3 systems,
    reweighted by their residuals). The priors determine the rest, such as depth against rotation
    with two views. With 0 rounds all stays as lifted.
    """
    if not rounds:
        return (
            prior,
            ScaledOrthographicCameras(
                prior_rotation, 0 * plane[..., :1, :1], 0 * plane[..., :1, :].mT
            ),
            confidence,
        )
    square = confidence.square()
    shape, joints = square.shape, prior.mT
    views = (confidence.amax(-1) > 0).to(prior.dtype).sum(-1).clamp_min(2)
    hold = (ROTATION_PRIOR * (2 / views) ** 5)[:, None, None].expand(*shape[:2], 1)
    observed, start = plane.mT.flatten(0, 1), prior_rotation.flatten(0, 1)
    one = torch.ones_like(observed[:, :1])
    priors = _Priors(start, hold.flatten(0, 1), (hold + DAMPING).flatten(0, 1) * _IDENTITY.to(one))
    cameras = ScaledOrthographicCameras(start, 0 * one[..., :1], 0 * observed[..., :1])
    robust = torch.ones_like(square)
    for _ in range(rounds):
        local = _in_views(joints, cameras.view_from_canonical, shape)
        cameras = _step_cameras(
            local, cameras, priors, observed, one, (square * robust).flatten(0, 1)
        )
        local = _in_views(joints, cameras.view_from_canonical, shape)
        # the 2D poses at canonical scale, with the joints' own perspective taken out
        target = (observed * (1 + cameras.scale * local[:, 2:]) - cameras.shift) / cameras.scale
        residual = (target - local[:, :2]).square()
        robust = 1 / (1 + (residual[:, 0] + residual[:, 1]) / OUTLIER**2).reshape(shape)
        solved = _solve_joints(prior.mT, cameras.view_from_canonical, target, square * robust)
        joints = solved + OVERSHOOT * (solved - joints)
    local = _in_views(solved, cameras.view_from_canonical, shape)
    cameras = _step_cameras(local, cameras, priors, observed, one, (square * robust).flatten(0, 1))
    by_view = (part.reshape(*shape[:2], *part.shape[1:]) for part in cameras)
    return solved.mT, ScaledOrthographicCameras(*by_view), confidence * robust


def _in_views(
    joints: Float[Tensor, "B 3 J"], rotation: Float[Tensor, "N 3 3"], shape: torch.Size
) -> Float[Tensor, "N 3 J"]:
    """The joints in every view's axes, by one product for all views of an instant."""
    stacked = rotation.reshape(shape[0], -1, 3)
    return (stacked @ joints).reshape(-1, 3, shape[2])


def _step_cameras(
    local: Float[Tensor, "N 3 J"],
    cameras: ScaledOrthographicCameras,
    priors: _Priors,
    observed: Float[Tensor, "N 2 J"],
    one: Float[Tensor, "N 1 J"],
    weight: Float[Tensor, "N J"],
) -> ScaledOrthographicCameras:
    """One step of rotation, scale and shift of every view towards its 2D pose; local is the body
    in the axes of its camera so far.
    """
    level = observed * (1 + cameras.scale * local[:, 2:])
    both = torch.cat([local, level, one], 1)
    sums = (both * weight[:, None]) @ both.mT  # (N, 6, 6): all products, summed over joints
    centre = sums[:, :5, 5:] / sums[:, 5:, 5:].clamp_min(TINY)
    moments = sums[:, :3, :5] - centre[:, :3] * sums[:, 5:, :5]
    parts = moments.flatten(1) @ _STEP.to(moments)
    scale = _ratio(parts[:, 15:16], parts[:, 16:])
    rotation = cameras.view_from_canonical
    turned = (rotation @ priors.rotation.mT).flatten(1) @ _TURN.to(moments)  # to first order
    pull = parts[:, 9:12] / scale - parts[:, 12:15] - priors.hold * turned
    rotation = rotation_from_step(solve3(squared(parts[:, :9] + priors.held), pull)) @ rotation
    scale = scale[..., None]
    return ScaledOrthographicCameras(rotation, scale, centre[:, 3:] - scale * centre[:, :2])


def scale_from_moments(
    spread: Float[Tensor, "B V 3 3"], shared: Float[Tensor, "B V 3 D"]
) -> Float[Tensor, "B V 1 1"]:
    """The least-squares scale from second moments; 1 where nothing was observed."""
    body = spread[..., :1, :1] + spread[..., 1:2, 1:2]
    return _ratio(shared[..., :1, :1] + shared[..., 1:2, 1:2], body)


def _ratio(
    observed: Float[Tensor, "*batch"], body: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    return torch.where(body > TINY, observed / body.clamp_min(TINY), 1.0).clamp_min(1e-6)


def _solve_joints(
    prior: Float[Tensor, "B 3 J"],
    rotation: Float[Tensor, "N 3 3"],
    target: Float[Tensor, "N 2 J"],
    weight: Float[Tensor, "B V J"],
) -> Float[Tensor, "B 3 J"]:
    """The least-squares joints of the views' rays and the lifted pose."""
    identity, system = _IDENTITY.to(prior), _SYSTEM.to(prior)
    depth = rotation[:, 2]
    across = (identity - outer(depth, depth)) @ system  # a view does not determine the depth
    across = across.reshape(*weight.shape[:2], -1)
    whole = across.mT @ weight + (POSE_PRIOR * identity @ system)[:, None]
    a, b, c, d, first = (whole[:, at : at + 9] for at in range(0, 39, 9))
    adjugate = a * b - c * d
    rays = rotation[:, :2].reshape(weight.shape[0], -1, 3).mT
    pulled = (weight.flatten(0, 1)[:, None] * target).reshape(weight.shape[0], -1, weight.shape[2])
    right = rays @ pulled + POSE_PRIOR * prior
    rows = adjugate.reshape(-1, 3, *prior.shape[1:])
    numerators = (rows * right[:, None]).sum(2)
    joints = numerators / (first * adjugate[:, :3]).sum(1, keepdim=True).clamp_min(TINY * TINY)
    return joints - joints[..., :1]

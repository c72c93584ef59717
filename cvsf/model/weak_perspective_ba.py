"""Bundle adjustment of one body and V scaled-orthographic cameras, alternating between the two.

The lifted poses and rotations are the first guess and the priors. A fixed number of closed-form
rounds without an SVD, so that it can be exported with the graph.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.geometry import MINORS, TINY, outer, rotation_from_step, solve3, square_matrix

ROUNDS = 12
OVER_RELAXATION = 0.7
"""Of the joints, as alternation converges slowly: 8 rounds without it and 12 with it have 32.2 and
28.4 mm on four still views; 1.0 is worse (docs/log.md, 2026-11-22).
"""
POSE_PRIOR = 0.04
"""Weight of a lifted joint relative to a keypoint of confidence 1: the ratio of 2D error and
lifting error, squared. A guess, not measured.
"""
ROTATION_PRIOR = 0.03
"""Weight of a lifted rotation with two views; it falls with the fifth power of their number
(docs/log.md, 2026-11-22).
"""
DAMPING = 0.01  # of a rotation step; a guess, not measured
OUTLIER = 0.05
"""Residual, in canonical units, at which a keypoint has weight 1/2 (Cauchy kernel). A guess, not
measured.
"""

# a camera's step is linear in the moments (3x5) of the body, in view axes, with itself and with the
# 2D pose: normal matrix (9), right-hand side of the 2D pose and of the body (3 each), and the two
# sums whose ratio is the scale
_STEP = torch.zeros(15, 17)
for _row, _column, _value in (
    *((12, 0, 1), (12, 4, 1), (0, 8, 1), (6, 8, 1)),
    *((2, 2, -1), (2, 6, -1), (7, 5, -1), (7, 7, -1)),
    *((14, 9, -1), (13, 10, 1), (4, 11, 1), (8, 11, -1)),
    *((11, 12, -1), (10, 13, 1), (1, 14, 1), (5, 14, -1)),
    *((3, 15, 1), (9, 15, 1), (0, 16, 1), (6, 16, 1)),
):
    _STEP[_row, _column] = _value
_ROTATION_VECTOR = torch.zeros(9, 3)
for _column, (_plus, _minus) in enumerate(((7, 5), (2, 6), (3, 1))):
    _ROTATION_VECTOR[_plus, _column], _ROTATION_VECTOR[_minus, _column] = 0.5, -0.5


# from I - d d^T of a view, d its optical axis, to the factors of the adjugate (36) and the first
# row (3) of a joint's 3x3 system; both are linear in it, so the sum over views can be taken of them
_SYSTEM = torch.cat([MINORS, torch.eye(9)[:, :3]], 1)
_IDENTITY = torch.eye(3).flatten()


class ScaledOrthographicCameras(NamedTuple):
    """Scaled-orthographic cameras (Tomasi and Kanade 1992), with perspective to first order; scale
    is 1 / distance of the body, in canonical units.
    """

    view_from_canonical: Float[Tensor, "*batch 3 3"]
    scale: Float[Tensor, "*batch 1 1"]
    shift: Float[Tensor, "*batch 2 1"]


class _Priors(NamedTuple):
    """The lifted rotation of every view, and its weight in a step."""

    rotation: Float[Tensor, "N 3 3"]
    weight: Float[Tensor, "N 1"]
    damped: Float[Tensor, "N 9"]  # (weight + damping) times the identity


def bundle_adjust(
    prior: Float[Tensor, "B J 3"],
    prior_rotation: Float[Tensor, "B V 3 3"],
    plane: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    rounds: int = ROUNDS,
) -> tuple[Float[Tensor, "B J 3"], ScaledOrthographicCameras, Float[Tensor, "B V J"]]:
    """The body (pelvis at the origin) and cameras that minimise the reprojection error in all
    views, and the confidences times the inlier weights (0 to 1). `plane` is the 2D on the centred
    plane (no unit), `prior_rotation` goes from the frame of `prior`, in which the body is, into the
    view. With X the body in a view's axes, its 2D is (scale X_xy + shift) / (1 + scale X_z).

    Each round is one Gauss-Newton step of every camera, then the joints (3x3 systems, IRLS). The
    priors determine what the views leave free, such as depth and rotation with two views. With 0
    rounds the given body, rotations and confidences themselves are returned, with scale and shift
    0.
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
    prior_weight = (ROTATION_PRIOR * (2 / views) ** 5)[:, None, None].expand(*shape[:2], 1)
    observed, start = plane.mT.flatten(0, 1), prior_rotation.flatten(0, 1)
    one = torch.ones_like(observed[:, :1])
    damped = (prior_weight + DAMPING).flatten(0, 1) * _IDENTITY.to(one)
    priors = _Priors(start, prior_weight.flatten(0, 1), damped)
    cameras = ScaledOrthographicCameras(start, 0 * one[..., :1], 0 * observed[..., :1])
    robust = torch.ones_like(square)
    for _ in range(rounds):
        local = _in_views(joints, cameras.view_from_canonical, shape)
        cameras = _step_cameras(
            local, cameras, priors, observed, one, (square * robust).flatten(0, 1)
        )
        local = _in_views(joints, cameras.view_from_canonical, shape)
        # the 2D poses at canonical scale, without the perspective of the joints' depths
        target = (observed * (1 + cameras.scale * local[:, 2:]) - cameras.shift) / cameras.scale
        residual = (target - local[:, :2]).square()
        robust = 1 / (1 + (residual[:, 0] + residual[:, 1]) / OUTLIER**2).reshape(shape)
        solved = _solve_joints(prior.mT, cameras.view_from_canonical, target, square * robust)
        joints = solved + OVER_RELAXATION * (solved - joints)
    local = _in_views(solved, cameras.view_from_canonical, shape)
    cameras = _step_cameras(local, cameras, priors, observed, one, (square * robust).flatten(0, 1))
    by_view = (part.reshape(*shape[:2], *part.shape[1:]) for part in cameras)
    return solved.mT, ScaledOrthographicCameras(*by_view), confidence * robust


def _in_views(
    joints: Float[Tensor, "B 3 J"], rotation: Float[Tensor, "N 3 3"], shape: torch.Size
) -> Float[Tensor, "N 3 J"]:
    """The joints in the axes of every view."""
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
    """One Gauss-Newton step of each camera's rotation, scale and shift; `local` is the body in the
    axes of the camera before the step.
    """
    orthographic = observed * (1 + cameras.scale * local[:, 2:])
    columns = torch.cat([local, orthographic, one], 1)
    sums = (columns * weight[:, None]) @ columns.mT  # (N, 6, 6): all products, summed over joints
    centre = sums[:, :5, 5:] / sums[:, 5:, 5:].clamp_min(TINY)
    moments = sums[:, :3, :5] - centre[:, :3] * sums[:, 5:, :5]
    parts = moments.flatten(1) @ _STEP.to(moments)
    scale = _ratio(parts[:, 15:16], parts[:, 16:])
    rotation = cameras.view_from_canonical
    relative = (rotation @ priors.rotation.mT).flatten(1)
    error = relative @ _ROTATION_VECTOR.to(moments)  # to first order
    right = parts[:, 9:12] / scale - parts[:, 12:15] - priors.weight * error
    step = solve3(square_matrix(parts[:, :9] + priors.damped), right)
    rotation = rotation_from_step(step) @ rotation
    scale = scale[..., None]
    return ScaledOrthographicCameras(rotation, scale, centre[:, 3:] - scale * centre[:, :2])


def scale_from_moments(
    spread: Float[Tensor, "B V 3 3"], shared: Float[Tensor, "B V 3 D"]
) -> Float[Tensor, "B V 1 1"]:
    """The least-squares scale of a camera, 2D over body, at least 1e-6: `spread` are the second
    moments of the body in view axes, `shared` those of body and 2D. 1 where `spread` is 0.
    """
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
    """The joints that are, in the least squares, nearest to the rays of the views and to the lifted
    pose.
    """
    identity, system = _IDENTITY.to(prior), _SYSTEM.to(prior)
    depth = rotation[:, 2]
    normal = (identity - outer(depth, depth)) @ system  # a view does not determine depth
    normal = normal.reshape(*weight.shape[:2], -1)
    normal = normal.mT @ weight + (POSE_PRIOR * identity @ system)[:, None]
    a, b, c, d, first = (normal[:, at : at + 9] for at in range(0, 39, 9))
    adjugate = a * b - c * d
    rays = rotation[:, :2].reshape(weight.shape[0], -1, 3).mT
    weighted = weight.flatten(0, 1)[:, None] * target
    weighted = weighted.reshape(weight.shape[0], -1, weight.shape[2])
    right = rays @ weighted + POSE_PRIOR * prior
    rows = adjugate.reshape(-1, 3, *prior.shape[1:])
    numerators = (rows * right[:, None]).sum(2)
    joints = numerators / (first * adjugate[:, :3]).sum(1, keepdim=True).clamp_min(TINY * TINY)
    return joints - joints[..., :1]

"""One body and V cameras that agree with every view's 2D pose, found by closed-form alternation.

The lifted poses and rotations are where it starts and what decides where the views cannot; a fixed
number of rounds, no SVD, so that the whole search is part of the compiled graph.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.geometry import TINY, rotation_from_step, solve3, squared, weighted_centre

ROUNDS = 12
OVERSHOOT = 0.7
"""By how much joints go past where a round puts them: alternation creeps."""
POSE_PRIOR = 0.04
"""Weight of a lifted joint against one sure view: (2D error / lifting error) squared."""
ROTATION_PRIOR = 0.03
"""Weight of a lifted rotation where two views are all there is; more views say it better."""
DAMPING = 0.01
OUTLIER = 0.05
"""Residual, in canonical units, at which a joint of a view counts half."""

# linear maps from second moments: body (3x3) to normal matrix, body and gap (3x2) to right-hand
# side
_STIFFNESS = torch.zeros(9, 9)
for _row, _column, _value in ((8, 0, 1), (8, 4, 1), (0, 8, 1), (4, 8, 1)):
    _STIFFNESS[_row, _column] = _value
for _row, _columns in ((2, (2, 6)), (5, (5, 7))):
    _STIFFNESS[_row, list(_columns)] = -1
_PULL = torch.zeros(6, 3)
for _row, _column, _value in ((5, 0, -1), (4, 1, 1), (1, 2, 1), (2, 2, -1)):
    _PULL[_row, _column] = _value
_TURN = torch.zeros(9, 3)
for _column, (_plus, _minus) in enumerate(((7, 5), (2, 6), (3, 1))):
    _TURN[_plus, _column], _TURN[_minus, _column] = 0.5, -0.5


class Cameras(NamedTuple):
    """Scaled-orthographic cameras with first-order perspective; scale is 1 / distance in canonical
    units.
    """

    view_from_canonical: Float[Tensor, "B V 3 3"]
    scale: Float[Tensor, "B V 1 1"]
    shift: Float[Tensor, "B V 1 2"]


def agree(
    prior: Float[Tensor, "B J 3"],
    prior_rotation: Float[Tensor, "B V 3 3"],
    plane: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    rounds: int = ROUNDS,
) -> tuple[Float[Tensor, "B J 3"], Cameras, Float[Tensor, "B V J"]]:
    """Body and cameras that explain all views together, and how far each joint was believed.

    Alternates between the cameras (one Gauss-Newton step each) and the joints (3x3 systems,
    reweighted by their residuals); what the views leave open, such as depth against turn with two
    of them, the priors decide.
    """
    sure = confidence.square()
    agreed, joints = torch.ones_like(sure), prior
    views = (confidence.amax(-1) > 0).to(prior.dtype).sum(-1).clamp_min(2)
    hold = (ROTATION_PRIOR * (2 / views) ** 5)[:, None, None]
    cameras = Cameras(prior_rotation, plane[..., :1, :1] * 0, plane[..., :1, :] * 0)
    for _ in range(rounds):
        cameras = step_cameras(joints, cameras, prior_rotation, plane, sure * agreed, hold)
        local = joints[:, None] @ cameras.view_from_canonical.mT
        target = flat(plane, local, cameras)
        residual = (target - local[..., :2]).square().sum(-1)
        agreed = 1 / (1 + residual / OUTLIER**2)
        placed = place_joints(prior, cameras.view_from_canonical, target, sure * agreed)
        joints = placed + OVERSHOOT * (placed - joints)
    cameras = step_cameras(placed, cameras, prior_rotation, plane, sure * agreed, hold)
    return placed, cameras, confidence * agreed


def flat(plane: Tensor, local: Tensor, cameras: Cameras) -> Float[Tensor, "B V J 2"]:
    """The 2D poses at canonical scale, about the projected pelvis, with the joints' own perspective
    taken out.
    """
    return (plane * (1 + cameras.scale * local[..., 2:]) - cameras.shift) / cameras.scale


def step_cameras(
    joints: Tensor,
    cameras: Cameras,
    prior_rotation: Tensor,
    plane: Tensor,
    weight: Tensor,
    hold: Float[Tensor, "B 1 1"],
) -> Cameras:
    """One step of rotation, scale and shift of every view towards its 2D pose."""
    rotation = cameras.view_from_canonical
    local = joints[:, None] @ rotation.mT
    level = plane * (1 + cameras.scale * local[..., 2:])
    local_centre, level_centre = weighted_centre(local, weight), weighted_centre(level, weight)
    local, level = local - local_centre, level - level_centre
    weighted = (weight[..., None] * local).mT
    spread, shared = weighted @ local, weighted @ level  # (B, V, 3, 3), (B, V, 3, 2)
    scale = scale_from_moments(spread, shared)
    missing = shared / scale - spread[..., :2]
    stiff = squared(spread.flatten(-2) @ _STIFFNESS.to(spread))
    identity = torch.eye(3, dtype=stiff.dtype, device=stiff.device)
    stiff = stiff + (hold[..., None] + DAMPING) * identity
    pull = missing.flatten(-2) @ _PULL.to(missing)
    pull = pull - hold * _turn_between(rotation, prior_rotation)
    rotation = rotation_from_step(solve3(stiff, pull)) @ rotation
    return Cameras(rotation, scale, level_centre - scale * local_centre[..., :2])


def scale_from_moments(spread: Tensor, shared: Tensor) -> Float[Tensor, "B V 1 1"]:
    """The least-squares scale from second moments; 1 where nothing was seen."""
    body = spread[..., :1, :1] + spread[..., 1:2, 1:2]
    seen = shared[..., :1, :1] + shared[..., 1:2, 1:2]
    return torch.where(body > TINY, seen / body.clamp_min(TINY), 1.0).clamp_min(1e-6)


def place_joints(
    prior: Tensor, rotation: Tensor, target: Tensor, weight: Tensor
) -> Float[Tensor, "B J 3"]:
    """Every joint where the views' rays and the lifted pose pull it least."""
    rays = rotation[..., :2, :]
    each = (rays.mT @ rays).flatten(-2)
    identity = torch.eye(3, dtype=prior.dtype, device=prior.device)
    matrix = squared(weight.mT @ each) + POSE_PRIOR * identity
    right = ((weight[..., None] * target) @ rays).sum(1) + POSE_PRIOR * prior
    joints = solve3(matrix, right)
    return joints - joints[:, :1]


def _turn_between(rotation: Tensor, prior: Tensor) -> Float[Tensor, "B V 3"]:
    """The small rotation vector from the prior to the rotation, to first order."""
    turn = (rotation @ prior.mT).flatten(-2)
    return turn @ _TURN.to(turn)

"""Cross-view fusion: V lifted views of one instant become one body, V rotations and refined 2D
poses.

One module from pixels to skeleton, compiled as it stands; a view without the person or a joint
nobody found has no weight in it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cvsf.geometry import (
    TINY,
    body_from,
    rotation_from_step,
    solve3,
    squared,
    turn_to_axis,
    unit,
    unit_length,
    weighted_centre,
)
from cvsf.lifter import Lifter, normalised
from cvsf.modes import refined
from cvsf.skeleton import JointSet

FOCAL_PER_SIDE = 1.0
"""Assumed focal length over the longer image side: only mild perspective hangs on it."""
ROUNDS = 8
POSE_PRIOR = 0.04
"""Weight of the lifted pose against one confident view, per joint: (2D error / lifting error)
squared.
"""
ROTATION_PRIOR = 0.003
DAMPING = 0.01
OUTLIER = 0.06
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


class Aimed(NamedTuple):
    """2D poses as cameras turned towards the person would see them, and the way back."""

    plane: Float[Tensor, "B V J 2"]  # image plane at focal length 1
    aimed_from_view: Float[Tensor, "B V 3 3"]
    origin_px: Float[Tensor, "B V 1 2"]
    focal_px: Float[Tensor, "B V 1 1"]


class Cameras(NamedTuple):
    """Scaled-orthographic cameras with first-order perspective; scale is 1 / distance in canonical
    units.
    """

    view_from_canonical: Float[Tensor, "B V 3 3"]
    scale: Float[Tensor, "B V 1 1"]
    shift: Float[Tensor, "B V 1 2"]


class LiftedViews(NamedTuple):
    """What the engine returns, for B instants."""

    canonical: Float[Tensor, "B V J 3"]
    view_from_canonical: Float[Tensor, "B V 3 3"]
    refined_px: Float[Tensor, "B V J 2"]
    fused: Float[Tensor, "B J 3"]
    fused_confidence: Float[Tensor, "B J"]


class FusedLifter(nn.Module):
    """The whole graph: pixels, confidences and picture sizes of V views in, one skeleton out."""

    def __init__(self, lifter: Lifter, joint_set: JointSet, rounds: int = ROUNDS) -> None:
        super().__init__()
        self.rounds = rounds
        self.lifter = lifter
        self.joint_set = joint_set

    def forward(
        self,
        keypoints_px: Float[Tensor, "B V J 2"],
        confidence: Float[Tensor, "B V J"],
        image_px: Float[Tensor, "B V 2"],
    ) -> LiftedViews:
        """Every output of the engine; image_px 0 is a picture of unknown size, treated as seen from
        afar.
        """
        aimed = aim(keypoints_px, confidence, image_px)
        canonical, rotation = self.lifted(aimed.plane, confidence)
        fused, cameras, trust = self.joined(canonical, rotation, aimed.plane, confidence)
        refined_px = unaim(refine(fused, cameras, aimed.plane, confidence), aimed)
        present = confidence.amax(-1)[..., None, None] > 0
        support = trust.sum(1)
        return LiftedViews(
            canonical=canonical,
            view_from_canonical=aimed.aimed_from_view.mT @ cameras.view_from_canonical,
            refined_px=torch.where(present, refined_px, keypoints_px),
            fused=fused,
            fused_confidence=support / (support + 0.5),
        )

    def lifted(
        self, plane: Float[Tensor, "B V J 2"], confidence: Float[Tensor, "B V J"]
    ) -> tuple[Float[Tensor, "B V J 3"], Float[Tensor, "B V 3 3"]]:
        """Per view alone: the pose exactly in its body frame at unit scale, and the rotation into
        the aimed view.
        """
        canonical, rotation = self.lifter(plane, confidence)
        return self._in_body_frame(canonical, rotation)

    def joined(
        self,
        canonical: Float[Tensor, "B V J 3"],
        rotation: Float[Tensor, "B V 3 3"],
        plane: Float[Tensor, "B V J 2"],
        confidence: Float[Tensor, "B V J"],
    ) -> tuple[Float[Tensor, "B J 3"], Cameras, Float[Tensor, "B V J"]]:
        """All views together in the body frame, their cameras, and how far each joint of each view
        was believed.

        One view alone gives its own canonical pose, none gives zeros.
        """
        views = (confidence.amax(-1) > 0).sum(-1)[:, None, None]
        prior = mean_pose(canonical, confidence)
        joints, cameras, trust = agree(prior, rotation, plane, confidence, self.rounds)
        joints = torch.where(views > 1, joints, prior)
        joints, rotation = self._in_body_frame(joints[:, None], cameras.view_from_canonical)
        fused = torch.where(views > 0, joints[:, 0], 0.0)
        return fused, cameras._replace(view_from_canonical=rotation), trust

    def refined_plane(
        self, plane: Float[Tensor, "B V J 2"], confidence: Float[Tensor, "B V J"]
    ) -> Float[Tensor, "B V J 2"]:
        """Eq. 2 on aimed 2D poses, as training compares with it."""
        canonical, rotation = self.lifted(plane, confidence)
        fused, cameras, _ = self.joined(canonical, rotation, plane, confidence)
        return refine(fused, cameras, plane, confidence)

    def _in_body_frame(self, joints: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        body = body_from(joints, self.joint_set)
        scale = unit_length(joints, self.joint_set)[..., None, None]
        return (joints - joints[..., :1, :]) @ body.mT / scale, rotation @ body.mT


def aim(keypoints_px: Tensor, confidence: Tensor, image_px: Tensor) -> Aimed:
    """The poses after every camera is turned towards its person, by the assumed focal length.

    What is off the picture's centre is seen from another side than the camera's axis says.
    """
    _, centre, radius = normalised(keypoints_px, confidence)
    known = (image_px.amin(-1) > 0)[..., None, None]
    origin = torch.where(known, image_px[..., None, :] / 2, centre)
    far = 50 * radius + 1
    focal = torch.where(known, FOCAL_PER_SIDE * image_px.amax(-1)[..., None, None], far)
    forward = torch.ones_like(confidence[..., :1, None])
    turn = turn_to_axis(unit(torch.cat([(centre - origin) / focal, forward], -1))[..., 0, :])
    found = torch.where(confidence[..., None] > 0, keypoints_px, centre)
    ray = (
        torch.cat([(found - origin) / focal, torch.ones_like(confidence)[..., None]], -1) @ turn.mT
    )
    return Aimed(ray[..., :2] / ray[..., 2:], turn, origin, focal)


def unaim(plane: Tensor, aimed: Aimed) -> Float[Tensor, "B V J 2"]:
    """Pixels of points of the aimed plane."""
    ray = torch.cat([plane, torch.ones_like(plane[..., :1])], -1) @ aimed.aimed_from_view
    return aimed.origin_px + aimed.focal_px * ray[..., :2] / ray[..., 2:]


def mean_pose(canonical: Tensor, confidence: Tensor) -> Float[Tensor, "B J 3"]:
    """The mean of the views' canonical poses, by confidence of the view and, less so, of the joint
    in it.
    """
    weight = confidence.mean(-1, keepdim=True) * (0.2 + confidence)
    total = weight.sum(1)[..., None].clamp_min(TINY)
    return (canonical * weight[..., None]).sum(1) / total


def agree(
    prior: Float[Tensor, "B J 3"],
    prior_rotation: Float[Tensor, "B V 3 3"],
    plane: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    rounds: int = ROUNDS,
) -> tuple[Float[Tensor, "B J 3"], Cameras, Float[Tensor, "B V J"]]:
    """Body and cameras that explain all views together, and how far each joint of each view was
    believed.

    Alternates between the cameras (one Gauss-Newton step each) and the joints (3x3 systems,
    reweighted by their
    residuals); what the views leave open, such as depth against turn with two of them, the priors
    decide.
    """
    sure = confidence.square()
    believed = sure
    joints = prior
    cameras = Cameras(prior_rotation, torch.zeros_like(plane[..., :1, :1]), plane[..., :1, :] * 0)
    for _ in range(rounds):
        cameras = step_cameras(joints, cameras, prior_rotation, plane, believed)
        local = joints[:, None] @ cameras.view_from_canonical.mT
        target = flat(plane, local, cameras)
        residual = (target - local[..., :2]).square().sum(-1)
        agreed = 1 / (1 + residual / OUTLIER**2)
        believed = sure * agreed
        joints = place_joints(prior, cameras.view_from_canonical, target, believed)
    return joints, cameras, confidence * agreed


def flat(plane: Tensor, local: Tensor, cameras: Cameras) -> Float[Tensor, "B V J 2"]:
    """The 2D poses at canonical scale, about the projected pelvis, with the joints' own perspective
    taken out.
    """
    return (plane * (1 + cameras.scale * local[..., 2:]) - cameras.shift) / cameras.scale


def step_cameras(
    joints: Tensor, cameras: Cameras, prior_rotation: Tensor, plane: Tensor, weight: Tensor
) -> Cameras:
    """One step of rotation, scale and shift of every view towards its 2D pose."""
    rotation = cameras.view_from_canonical
    local = joints[:, None] @ rotation.mT
    level = plane * (1 + cameras.scale * local[..., 2:])
    local_centre, level_centre = weighted_centre(local, weight), weighted_centre(level, weight)
    local, level = local - local_centre, level - level_centre
    weighted = (weight[..., None] * local).mT
    spread, shared = weighted @ local, weighted @ level  # (B, V, 3, 3), (B, V, 3, 2)
    scale = _scale(spread, shared)
    missing = shared / scale - spread[..., :2]
    stiff = squared(spread.flatten(-2) @ _STIFFNESS.to(spread))
    stiff = stiff + (ROTATION_PRIOR + DAMPING) * torch.eye(
        3, dtype=stiff.dtype, device=stiff.device
    )
    pull = missing.flatten(-2) @ _PULL.to(missing)
    pull = pull - ROTATION_PRIOR * _turn_between(rotation, prior_rotation)
    rotation = rotation_from_step(solve3(stiff, pull)) @ rotation
    return Cameras(rotation, scale, level_centre - scale * local_centre[..., :2])


def _scale(spread: Tensor, shared: Tensor) -> Float[Tensor, "B V 1 1"]:
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


def refine(
    fused: Tensor, cameras: Cameras, plane: Tensor, confidence: Tensor
) -> Float[Tensor, "B V J 2"]:
    """The refined 2D poses of Eq. 2 on the aimed plane; at one scale for all views, which is what
    epipolar lines need.
    """
    local = fused[:, None] @ cameras.view_from_canonical.mT
    perspective = 1 + cameras.scale * local[..., 2:]
    level = plane * perspective
    weight = confidence.square()
    local_centre, level_centre = weighted_centre(local, weight), weighted_centre(level, weight)
    weighted = (weight[..., None] * (local - local_centre)).mT
    scale = _scale(weighted @ (local - local_centre), weighted @ (level - level_centre))
    shift = level_centre - scale * local_centre[..., :2]
    found = (level - shift) / scale
    pose2d = refined(found, confidence, cameras.view_from_canonical, local[..., :2])
    return (pose2d * scale + shift) / perspective


def _turn_between(rotation: Tensor, prior: Tensor) -> Float[Tensor, "B V 3"]:
    """The small rotation vector from the prior to the rotation, to first order."""
    turn = (rotation @ prior.mT).flatten(-2)
    return turn @ _TURN.to(turn)

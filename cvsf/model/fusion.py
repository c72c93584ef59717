"""Cross-view fusion: V lifted views of one instant become one body, V rotations and refined 2D.

One module from pixels to skeleton, exported as it stands; a view without the person and a joint
that was not detected have weight 0.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cvsf.model.epipolar_refinement import BODY_VOTE, refined
from cvsf.model.geometry import TINY, body_from, turn_to_axis, unit, unit_length, weighted_centre
from cvsf.model.keypoint_adapter import Morph
from cvsf.model.lifter import Lifter, normalised
from cvsf.model.weak_perspective_ba import (
    ROUNDS,
    ScaledOrthographicCameras,
    agree,
    scale_from_moments,
)
from cvsf.skeleton import JointSet

FOCAL_PER_SIDE = 0.9
"""Assumed focal length over the longer image side; measured from 0.6 to 1.25: 27.3 to 28.7 mm on
still cameras (docs/log.md, 2026-11-22)."""


class Aimed(NamedTuple):
    """2D poses of virtual cameras turned towards the person, and the transform back."""

    plane: Float[Tensor, "*views J 2"]  # image plane at focal length 1
    aimed_from_view: Float[Tensor, "*views 3 3"]
    origin_px: Float[Tensor, "*views 1 2"]
    focal_px: Float[Tensor, "*views 1 1"]


class LiftedViews(NamedTuple):
    """The engine's outputs for B instants."""

    canonical: Float[Tensor, "B V J 3"]
    view_from_canonical: Float[Tensor, "B V 3 3"]
    refined_px: Float[Tensor, "B V J 2"]
    fused: Float[Tensor, "B J 3"]
    fused_confidence: Float[Tensor, "B J"]


class FusedLifter(nn.Module):
    """The whole graph: pixels, confidences and picture sizes of V views in, one skeleton out.

    With a morph the input is in a detector's own keypoint convention, the output in the ground
    truth's.
    """

    def __init__(
        self,
        lifter: Lifter,
        joint_set: JointSet,
        rounds: int = ROUNDS,
        morph: Morph | None = None,
    ) -> None:
        super().__init__()
        self.rounds = rounds
        self.morph = morph
        self.lifter = lifter
        self.joint_set = joint_set

    def forward(
        self,
        keypoints_px: Float[Tensor, "B V J 2"],
        confidence: Float[Tensor, "B V J"],
        image_px: Float[Tensor, "B V 2"],
    ) -> LiftedViews:
        """Every output of the engine; image_px 0 is a picture of unknown size, taken as seen from
        afar.
        """
        if self.morph is not None:
            keypoints_px, confidence = self.morph(keypoints_px, confidence)
        aimed = aim(keypoints_px, confidence, image_px)
        canonical, rotation = self.lifted(aimed.plane, confidence)
        return self.together(canonical, rotation, keypoints_px, confidence, aimed)

    def together(
        self,
        canonical: Float[Tensor, "B V J 3"],
        rotation: Float[Tensor, "B V 3 3"],
        keypoints_px: Float[Tensor, "B V J 2"],
        confidence: Float[Tensor, "B V J"],
        aimed: Aimed,
    ) -> LiftedViews:
        """Every output of the engine from the lifted pose and rotation of each view."""
        fused, cameras, trust = self.joined(canonical, rotation, aimed.plane, confidence)
        refined_px = unaim(refine(fused, cameras, aimed.plane, confidence, self._vote), aimed)
        present = confidence.amax(-1)[..., None, None] > 0
        return LiftedViews(
            canonical=canonical,
            view_from_canonical=aimed.aimed_from_view.mT @ cameras.view_from_canonical,
            refined_px=torch.where(present, refined_px, keypoints_px),
            fused=fused,
            fused_confidence=supported(trust),
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
    ) -> tuple[Float[Tensor, "B J 3"], ScaledOrthographicCameras, Float[Tensor, "B V J"]]:
        """All views together in the body frame, their cameras, and confidences times inlier
        weights.

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
        self,
        canonical: Float[Tensor, "B V J 3"],
        rotation: Float[Tensor, "B V 3 3"],
        plane: Float[Tensor, "B V J 2"],
        confidence: Float[Tensor, "B V J"],
    ) -> tuple[Float[Tensor, "B V J 2"], Float[Tensor, "B V J"]]:
        """Eq. 2 from the lifted poses of the aimed 2D poses, and the confidence of the result: the
        targets of training, constant for the optimiser.
        """
        canonical, rotation = self._in_body_frame(canonical, rotation)
        fused, cameras, trust = self.joined(canonical, rotation, plane, confidence)
        refined = refine(fused, cameras, plane, confidence, self._vote)
        return refined, refined_confidence(confidence, supported(trust))

    @property
    def _vote(self) -> float:
        """0 without bundle adjustment, which is Eq. 2 as printed."""
        return BODY_VOTE if self.rounds else 0.0

    def _in_body_frame(
        self, joints: Float[Tensor, "B N J 3"], rotation: Float[Tensor, "B V 3 3"]
    ) -> tuple[Float[Tensor, "B N J 3"], Float[Tensor, "B V 3 3"]]:
        """Poses (one a view, or one for all) in their body frame, and rotations from it."""
        body = body_from(joints, self.joint_set)
        scale = unit_length(joints, self.joint_set)[..., None, None]
        return (joints - joints[..., :1, :]) @ body.mT / scale, rotation @ body.mT


def aim(
    keypoints_px: Float[Tensor, "*views J 2"],
    confidence: Float[Tensor, "*views J"],
    image_px: Float[Tensor, "*views 2"],
) -> Aimed:
    """The poses after every camera is turned towards its person, by the assumed focal length.

    Weak perspective holds along the ray to the person, not along the camera's axis.
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


def unaim(plane: Float[Tensor, "*views J 2"], aimed: Aimed) -> Float[Tensor, "*views J 2"]:
    """Pixels of points of the aimed plane."""
    ray = torch.cat([plane, torch.ones_like(plane[..., :1])], -1) @ aimed.aimed_from_view
    return aimed.origin_px + aimed.focal_px * ray[..., :2] / ray[..., 2:]


def supported(trust: Float[Tensor, "B V J"]) -> Float[Tensor, "B J"]:
    """The fused confidence: 0 where every view is an outlier, rising with the sum of weights."""
    support = trust.sum(1)
    return support / (support + 0.5)


def refined_confidence(
    confidence: Float[Tensor, "B V J"], fused_confidence: Float[Tensor, "B J"]
) -> Float[Tensor, "B V J"]:
    """Confidence of a refined joint: the larger of its view's and the fused one; 0 where the view
    has no person.
    """
    present = confidence.amax(-1, keepdim=True) > 0
    return torch.where(present, torch.maximum(confidence, fused_confidence[:, None]), 0.0)


def mean_pose(
    canonical: Float[Tensor, "B V J 3"], confidence: Float[Tensor, "B V J"]
) -> Float[Tensor, "B J 3"]:
    """The mean of the views' canonical poses, weighted by the confidence of the view and, less so,
    of the joint in it (0.2: a guess, not measured).
    """
    weight = confidence.mean(-1, keepdim=True) * (0.2 + confidence)
    total = weight.sum(1)[..., None].clamp_min(TINY)
    return (canonical * weight[..., None]).sum(1) / total


def refine(
    fused: Float[Tensor, "B J 3"],
    cameras: ScaledOrthographicCameras,
    plane: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    vote: float = BODY_VOTE,
) -> Float[Tensor, "B V J 2"]:
    """The refined 2D poses of Eq. 2 on the aimed plane, with the fused body as one more view.

    Epipolar lines need one scale for all views, so the poses are brought to canonical scale first.
    """
    local = fused[:, None] @ cameras.view_from_canonical.mT
    perspective = 1 + cameras.scale * local[..., 2:]
    level = plane * perspective
    weight = confidence.square()
    local_centre, level_centre = weighted_centre(local, weight), weighted_centre(level, weight)
    weighted = (weight[..., None] * (local - local_centre)).mT
    scale = scale_from_moments(weighted @ (local - local_centre), weighted @ (level - level_centre))
    shift = level_centre - scale * local_centre[..., :2]
    found = (level - shift) / scale
    pose2d = refined(found, confidence, cameras.view_from_canonical, local[..., :2], vote)
    return (pose2d * scale + shift) / perspective

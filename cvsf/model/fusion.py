"""Cross-view fusion: the lifted views of one instant to one body, V rotations and refined 2D.

One module from pixels to skeleton, which is exported whole. A view without the person and a joint
that was not detected have weight 0.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cvsf.model.epipolar_refinement import BODY_CONFIDENCE, refine_keypoints
from cvsf.model.geometry import (
    TINY,
    body_rotation,
    rotation_to_axis,
    unit,
    unit_length,
    weighted_centre,
)
from cvsf.model.keypoint_adapter import Morph
from cvsf.model.lifter import Lifter, normalised
from cvsf.model.weak_perspective_ba import (
    ROUNDS,
    ScaledOrthographicCameras,
    bundle_adjust,
    scale_from_moments,
)
from cvsf.skeleton import JointSet

FOCAL_PER_SIDE = 0.9
"""Assumed focal length over the longer image side; measured from 0.6 to 1.25: 27.3 to 28.7 mm on
still cameras (docs/log.md, 2026-11-22)."""


class CentredViews(NamedTuple):
    """2D poses of virtual cameras, each rotated so that the person is on its optical axis, and the
    transform back.
    """

    plane: Float[Tensor, "*views J 2"]  # the virtual image plane, at focal length 1
    centred_from_view: Float[Tensor, "*views 3 3"]
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
    """The engine's graph: pixels, confidences and picture sizes of V views in, one skeleton out.

    With a morph the input is in the keypoint convention of a detector, the output in that of the
    ground truth.
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
        """The engine's outputs: canonical and fused poses in the body frame at unit scale,
        rotations to the view frames (x right, y down, z forward), refined 2D in px. Inputs are
        keypoints and picture sizes (width, height) in px, of each view. A picture of size 0 has an
        unknown size: the camera is then taken to be far away. An instant without a person has zeros
        as fused pose, of confidence 0; a view without the person has its keypoints, unchanged, as
        refined 2D.
        """
        if self.morph is not None:
            keypoints_px, confidence = self.morph(keypoints_px, confidence)
        centred = centre_views(keypoints_px, confidence, image_px)
        canonical, rotation = self.lift(centred.plane, confidence)
        return self.fuse(canonical, rotation, keypoints_px, confidence, centred)

    def fuse(
        self,
        canonical: Float[Tensor, "B V J 3"],
        rotation: Float[Tensor, "B V 3 3"],
        keypoints_px: Float[Tensor, "B V J 2"],
        confidence: Float[Tensor, "B V J"],
        centred: CentredViews,
    ) -> LiftedViews:
        """The engine's outputs from each view's canonical pose and `rotation`, from the body frame
        into the centred view; the rotations returned go into the real view frame. `keypoints_px`
        are returned as refined 2D where a view does not have the person.
        """
        fused, cameras, weights = self.bundle_adjusted(
            canonical, rotation, centred.plane, confidence
        )
        refined = refine(fused, cameras, centred.plane, confidence, self._body_confidence)
        refined_px = to_pixels(refined, centred)
        present = confidence.amax(-1)[..., None, None] > 0
        return LiftedViews(
            canonical=canonical,
            view_from_canonical=centred.centred_from_view.mT @ cameras.view_from_canonical,
            refined_px=torch.where(present, refined_px, keypoints_px),
            fused=fused,
            fused_confidence=fused_confidence(weights),
        )

    def lift(
        self,
        plane: Float[Tensor, "B V *window J 2"],
        confidence: Float[Tensor, "B V *window J"],
    ) -> tuple[Float[Tensor, "B V J 3"], Float[Tensor, "B V 3 3"]]:
        """Lift each view alone: its canonical pose (body frame, pelvis at the origin, unit scale)
        and the rotation from there into the centred view. `plane` is the 2D on the centred plane
        (no unit); with a window, its middle frame is lifted.
        """
        canonical, rotation = self.lifter(plane, confidence)
        return self._in_body_frame(canonical, rotation)

    def bundle_adjusted(
        self,
        canonical: Float[Tensor, "B V J 3"],
        rotation: Float[Tensor, "B V 3 3"],
        plane: Float[Tensor, "B V J 2"],
        confidence: Float[Tensor, "B V J"],
    ) -> tuple[Float[Tensor, "B J 3"], ScaledOrthographicCameras, Float[Tensor, "B V J"]]:
        """Weak-perspective bundle adjustment: one body (body frame, unit scale) that fits all
        views, their cameras, and the confidences times the inlier weights. `rotation` goes from the
        body frame into the centred views, `plane` is the 2D there (no unit).

        With one view the body is that view's canonical pose, with none it is zeros.
        """
        views = (confidence.amax(-1) > 0).sum(-1)[:, None, None]
        prior = mean_pose(canonical, confidence)
        joints, cameras, weights = bundle_adjust(prior, rotation, plane, confidence, self.rounds)
        joints = torch.where(views > 1, joints, prior)
        joints, rotation = self._in_body_frame(joints[:, None], cameras.view_from_canonical)
        fused = torch.where(views > 0, joints[:, 0], 0.0)
        return fused, cameras._replace(view_from_canonical=rotation), weights

    def refined_plane(
        self,
        canonical: Float[Tensor, "B V J 3"],
        rotation: Float[Tensor, "B V 3 3"],
        plane: Float[Tensor, "B V J 2"],
        confidence: Float[Tensor, "B V J"],
    ) -> tuple[Float[Tensor, "B V J 2"], Float[Tensor, "B V J"]]:
        """The refined 2D of Eq. 2 on the centred plane (no unit) and its confidence: targets of
        training. They are constants for the optimiser, so callers compute them without gradient.
        Poses and rotations are those of each view, `rotation` into the centred view.
        """
        canonical, rotation = self._in_body_frame(canonical, rotation)
        fused, cameras, weights = self.bundle_adjusted(canonical, rotation, plane, confidence)
        refined = refine(fused, cameras, plane, confidence, self._body_confidence)
        return refined, refined_confidence(confidence, fused_confidence(weights))

    @property
    def _body_confidence(self) -> float:
        """Confidence of the fused body in Eq. 2; 0, as in the paper, without bundle adjustment."""
        return BODY_CONFIDENCE if self.rounds else 0.0

    def _in_body_frame(
        self, joints: Float[Tensor, "B N J 3"], rotation: Float[Tensor, "B V 3 3"]
    ) -> tuple[Float[Tensor, "B N J 3"], Float[Tensor, "B V 3 3"]]:
        """Poses (one for each view, or one for all) in the body frame, and rotations from it."""
        body = body_rotation(joints, self.joint_set)
        scale = unit_length(joints, self.joint_set)[..., None, None]
        return (joints - joints[..., :1, :]) @ body.mT / scale, rotation @ body.mT


def centre_views(
    keypoints_px: Float[Tensor, "*views J 2"],
    confidence: Float[Tensor, "*views J"],
    image_px: Float[Tensor, "*views 2"],
) -> CentredViews:
    """The 2D poses on the image plane (no unit; x right, y down) after each camera is rotated,
    virtually, until the person is on its optical axis. Keypoints and picture sizes are in px.

    Weak perspective holds about the ray to the person, not about the real optical axis. The focal
    length is the assumed one; for a picture of size 0 the camera is far away and not rotated. A
    joint of confidence 0 is put at the mean of the detected ones.
    """
    _, centre, radius = normalised(keypoints_px, confidence)
    known = (image_px.amin(-1) > 0)[..., None, None]
    origin = torch.where(known, image_px[..., None, :] / 2, centre)
    far = 50 * radius + 1
    focal = torch.where(known, FOCAL_PER_SIDE * image_px.amax(-1)[..., None, None], far)
    forward = torch.ones_like(confidence[..., :1, None])
    rotation = rotation_to_axis(
        unit(torch.cat([(centre - origin) / focal, forward], -1))[..., 0, :]
    )
    points = torch.where(confidence[..., None] > 0, keypoints_px, centre)
    ray = torch.cat([(points - origin) / focal, torch.ones_like(confidence)[..., None]], -1)
    ray = ray @ rotation.mT
    return CentredViews(ray[..., :2] / ray[..., 2:], rotation, origin, focal)


def to_pixels(
    plane: Float[Tensor, "*views J 2"], centred: CentredViews
) -> Float[Tensor, "*views J 2"]:
    """Points of the centred plane (no unit) as pixels of each view's own picture: `centred` is
    rotated back, so this inverts `centre_views`. Points may lie outside the picture.
    """
    ray = torch.cat([plane, torch.ones_like(plane[..., :1])], -1) @ centred.centred_from_view
    return centred.origin_px + centred.focal_px * ray[..., :2] / ray[..., 2:]


def fused_confidence(weights: Float[Tensor, "B V J"]) -> Float[Tensor, "B J"]:
    """Confidence of the fused joints: s / (s + 0.5), s the sum of the views' weights (0.5: a guess,
    not measured). It is 0 for a joint that no view detected, and always below 1.
    """
    total = weights.sum(1)
    return total / (total + 0.5)


def refined_confidence(
    confidence: Float[Tensor, "B V J"], fused: Float[Tensor, "B J"]
) -> Float[Tensor, "B V J"]:
    """Confidence of a refined keypoint: the larger of the detected and the fused one; 0 where the
    view does not have the person.
    """
    present = confidence.amax(-1, keepdim=True) > 0
    return torch.where(present, torch.maximum(confidence, fused[:, None]), 0.0)


def mean_pose(
    canonical: Float[Tensor, "B V J 3"], confidence: Float[Tensor, "B V J"]
) -> Float[Tensor, "B J 3"]:
    """The mean of the views' canonical poses (body frame), weighted by the mean confidence of the
    view times 0.2 + the confidence of the joint (0.2: a guess, not measured). Zeros where no view
    has the person.
    """
    weight = confidence.mean(-1, keepdim=True) * (0.2 + confidence)
    total = weight.sum(1)[..., None].clamp_min(TINY)
    return (canonical * weight[..., None]).sum(1) / total


def refine(
    fused: Float[Tensor, "B J 3"],
    cameras: ScaledOrthographicCameras,
    plane: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    body_confidence: float = BODY_CONFIDENCE,
) -> Float[Tensor, "B V J 2"]:
    """The refined 2D of Eq. 2 on the centred plane (no unit), with the fused body as one more view.
    `fused` is in the frame that the cameras rotate from; `plane` is the detected 2D.

    Epipolar lines need one scale in all views: the 2D poses are scaled to the canonical pose first,
    and back afterwards.
    """
    local = fused[:, None] @ cameras.view_from_canonical.mT
    perspective = 1 + cameras.scale * local[..., 2:]
    orthographic = plane * perspective
    weight = confidence.square()
    local_centre = weighted_centre(local, weight)
    pose_centre = weighted_centre(orthographic, weight)
    weighted = (weight[..., None] * (local - local_centre)).mT
    scale = scale_from_moments(
        weighted @ (local - local_centre), weighted @ (orthographic - pose_centre)
    )
    shift = pose_centre - scale * local_centre[..., :2]
    pose2d = refine_keypoints(
        (orthographic - shift) / scale,
        confidence,
        cameras.view_from_canonical,
        local[..., :2],
        body_confidence,
    )
    return (pose2d * scale + shift) / perspective

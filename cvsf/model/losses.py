"""The losses: the label-free terms of Eq. 7 of the paper (Eq. 3 to 6), and supervised ones.

Axis m is the view of the 2D pose, axis n the view whose canonical pose is reprojected to view m;
the sums of Eq. 7 are over all pairs.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.alignment import align
from cvsf.model.geometry import TINY, weighted_centre


class StageWeights(NamedTuple):
    """The weights of Eq. 7; Eq. 6 has one of its own, so that it can be left out."""

    w1: float  # of Eq. 3 and 4
    w2: float  # of Eq. 5
    w2_3d: float  # of Eq. 6: w2, or 0


BASELINE = StageWeights(1.0, 0.0, 0.0)
STAGE1 = StageWeights(1.0, 0.01, 0.01)
STAGE2 = StageWeights(0.01, 1.0, 1.0)


def unit_norm(
    pose: Float[Tensor, "*batch J 2"], found: Float[Tensor, "*batch J"]
) -> Float[Tensor, "*batch J 2"]:
    """The 2D pose at zero mean and Euclidean norm 1 (no unit), the normalisation of section 3.1 and
    of Eq. 3. `found` is 1 for detected joints, else 0; the others become 0.

    The paper centres on the root joint; here it is the mean of the detected joints, as the root may
    not be detected.
    """
    centred = (pose - weighted_centre(pose, found)) * found[..., None]
    return centred / centred.square().sum((-2, -1), keepdim=True).clamp_min(TINY).sqrt()


def reprojections(
    canonical: Float[Tensor, "B V J 3"], view_from_canonical: Float[Tensor, "B V 3 3"]
) -> Float[Tensor, "B V V J 2"]:
    """Eq. 1 for all pairs: the canonical pose of view n (axis 2) rotated into view m (axis 1),
    without its depth. The result is x right, y down in view m, in the unit of the pose.
    """
    return canonical[:, None] @ view_from_canonical[:, :, None, :2, :].mT


def reprojection_loss(
    pose2d: Float[Tensor, "B V J 2"],
    projected: Float[Tensor, "B V V J 2"],
    confidence: Float[Tensor, "B V J"],
) -> Float[Tensor, ""]:
    """Eq. 3 for input 2D poses, Eq. 5 for refined ones: the L1 norm of (P_m - P_n^rep / |P_n^rep|),
    weighted by the confidences C_m; summed over joints and ordered pairs of views, mean over
    instants. Both poses are brought to unit norm here, over the joints detected in view m. A view
    without the person adds nothing.
    """
    found = (confidence > 0).to(pose2d.dtype)
    reprojected = unit_norm(projected, found[:, :, None].expand(*projected.shape[:-1]))
    error = (unit_norm(pose2d, found)[:, :, None] - reprojected).abs().sum(-1)
    present = found.amax(-1)
    # a view without the person has no canonical pose to reproject
    return (error * confidence[:, :, None] * present[:, None, :, None]).sum((1, 2, 3)).mean()


def refinement_loss(
    pose2d: Float[Tensor, "B V J 2"],
    refined: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
) -> Float[Tensor, ""]:
    """Eq. 4 for 2D poses at unit norm: the L1 distance of each view's pose to its refined pose,
    weighted by confidence; summed over joints and views, mean over instants.

    Only for m = n, as the 2D poses of two views differ. The refined pose is an argmax: this term
    has no gradient and only adds to the reported loss.
    """
    return ((pose2d - refined).abs().sum(-1) * confidence).sum((1, 2)).mean()


def pose_agreement_loss(
    canonical: Float[Tensor, "B V J 3"], present: Float[Tensor, "B V"]
) -> Float[Tensor, ""]:
    """Eq. 6, pose agreement: the L1 distance between the canonical poses (unit scale), summed over
    joints and ordered pairs of views with the person (`present` is 1, else 0); mean over instants.
    """
    distance = (canonical[:, :, None] - canonical[:, None]).abs().sum((-2, -1))
    return (distance * present[:, :, None] * present[:, None]).sum((1, 2)).mean()


def supervised_loss(
    canonical: Float[Tensor, "B V J 3"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
    true_canonical: Float[Tensor, "B J 3"],
    true_rotation: Float[Tensor, "B V 3 3"],
    present: Float[Tensor, "B V"],
    weight: Float[Tensor, "B V J"] | None = None,
) -> Float[Tensor, ""]:
    """Mean joint distance to the ground truth, rotated into each view with the person, at unit
    scale; joints weighted by `weight`, where that is given. Mean over joints, over views with the
    person, and over instants; 0 for an instant without. Not in the paper.

    How a pose is divided into canonical pose and rotation is not supervised: a loss on that
    division as well made both worse (docs/log.md).
    """
    error = canonical @ view_from_canonical.mT - true_canonical[:, None] @ true_rotation.mT
    return _mean_length(error, present, weight)


def shape_loss(
    canonical: Float[Tensor, "B V J 3"],
    true_canonical: Float[Tensor, "B J 3"],
    present: Float[Tensor, "B V"],
    weight: Float[Tensor, "B V J"] | None = None,
) -> Float[Tensor, ""]:
    """Mean joint distance after each pose is moved to the ground truth's mean and rotated to fit
    best (no reflection, no scaling): errors of shape alone. Means as in `supervised_loss`. Not in
    the paper.

    The rotation is a constant for the optimiser, as the distance is stationary at the best
    rotation.
    """
    pose = canonical - canonical.mean(-2, keepdim=True)
    truth = (true_canonical - true_canonical.mean(-2, keepdim=True))[:, None]
    with torch.no_grad():
        R = align(pose, truth).R
    return _mean_length(pose @ R.mT - truth, present, weight)


def _mean_length(
    error: Float[Tensor, "B V J 3"],
    present: Float[Tensor, "B V"],
    weight: Float[Tensor, "B V J"] | None,
) -> Float[Tensor, ""]:
    """Weighted mean over joints, mean over the views with the person, mean over instants."""
    distance = _length(error) if weight is None else _length(error) * weight
    by_view = distance.mean(-1)
    return ((by_view * present).sum(-1) / present.sum(-1).clamp_min(1)).mean()


def _length(vector: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
    return vector.square().sum(-1).clamp_min(TINY).sqrt()

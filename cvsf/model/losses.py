"""The losses: Eq. 3 to 7 of the paper, label-free, and the distance to a known body for comparison.

Axis m is the view of the 2D pose, axis n the view whose canonical pose is reprojected there; every
pair counts.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.alignment import align
from cvsf.model.geometry import TINY, weighted_centre


class StageWeights(NamedTuple):
    """The weights of Eq. 7: w1 of Eq. 3 and 4, w2 of Eq. 5, and w2 or 0 of Eq. 6."""

    inputs: float
    refined: float
    agreement: float


BASELINE = StageWeights(1.0, 0.0, 0.0)
STAGE1 = StageWeights(1.0, 0.01, 0.01)
STAGE2 = StageWeights(0.01, 1.0, 1.0)


def unit_norm(
    pose: Float[Tensor, "*batch J 2"], found: Float[Tensor, "*batch J"]
) -> Float[Tensor, "*batch J 2"]:
    """The pose about the centre of its detected joints, divided by its Euclidean norm: the
    normalisation of section 3.1 and of Eq. 3.

    The paper centres on the root joint, which may not be detected; the centre of the others is.
    """
    centred = (pose - weighted_centre(pose, found)) * found[..., None]
    return centred / centred.square().sum((-2, -1), keepdim=True).clamp_min(TINY).sqrt()


def reprojected(
    canonical: Float[Tensor, "B V J 3"], view_from_canonical: Float[Tensor, "B V 3 3"]
) -> Float[Tensor, "B V V J 2"]:
    """Eq. 1 for all pairs: the pose of view n (axis 2) reprojected to view m (axis 1)."""
    return canonical[:, None] @ view_from_canonical[:, :, None, :2, :].mT


def deviation(
    pose2d: Float[Tensor, "B V J 2"],
    projected: Float[Tensor, "B V V J 2"],
    confidence: Float[Tensor, "B V J"],
) -> Float[Tensor, ""]:
    """Eq. 3 (input poses) and Eq. 5 (refined poses): L1 of (P_m - P_n^rep / |P_n^rep|) weighted by
    C_m, summed over pairs, mean over instants.
    """
    found = (confidence > 0).to(pose2d.dtype)
    shown = unit_norm(projected, found[:, :, None].expand(*projected.shape[:-1]))
    error = (unit_norm(pose2d, found)[:, :, None] - shown).abs().sum(-1)
    present = found.amax(-1)
    # a view without the person has no canonical pose either
    return (error * confidence[:, :, None] * present[:, None, :, None]).sum((1, 2, 3)).mean()


def refinement(
    pose2d: Float[Tensor, "B V J 2"],
    refined: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
) -> Float[Tensor, ""]:
    """Eq. 4 of poses at unit norm, each view with its own refined pose (m = n): the 2D poses of two
    views differ.

    The refined pose is an argmax, so this loss has no gradient; it is reported only.
    """
    return ((pose2d - refined).abs().sum(-1) * confidence).sum((1, 2)).mean()


def disagreement(
    canonical: Float[Tensor, "B V J 3"], present: Float[Tensor, "B V"]
) -> Float[Tensor, ""]:
    """Eq. 6: L1 between the canonical poses of every two views with the person."""
    apart = (canonical[:, :, None] - canonical[:, None]).abs().sum((-2, -1))
    return (apart * present[:, :, None] * present[:, None]).sum((1, 2)).mean()


def supervised(
    canonical: Float[Tensor, "B V J 3"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
    true_canonical: Float[Tensor, "B J 3"],
    true_rotation: Float[Tensor, "B V 3 3"],
    present: Float[Tensor, "B V"],
    sure: Float[Tensor, "B V J"] | None = None,
) -> Float[Tensor, ""]:
    """Mean joint distance to the known body in the axes of each view with the person, at unit
    scale; joints weighted by `sure`, where that is given. Not in the paper.

    The division of a pose into body and rotation is left free: a loss on the true division as well
    made both worse (docs/log.md).
    """
    off = canonical @ view_from_canonical.mT - true_canonical[:, None] @ true_rotation.mT
    return _mean_length(off, present, sure)


def misshapen(
    canonical: Float[Tensor, "B V J 3"],
    true_canonical: Float[Tensor, "B J 3"],
    present: Float[Tensor, "B V"],
    sure: Float[Tensor, "B V J"] | None = None,
) -> Float[Tensor, ""]:
    """The same distance after each pose is turned to where it fits best (no mirror): what is left
    is shape alone.

    The turn is a constant for the optimiser: at its best it has no slope.
    """
    pose = canonical - canonical.mean(-2, keepdim=True)
    truth = (true_canonical - true_canonical.mean(-2, keepdim=True))[:, None]
    with torch.no_grad():
        R = align(pose, truth).R
    return _mean_length(pose @ R.mT - truth, present, sure)


def _mean_length(
    off: Float[Tensor, "B V J 3"],
    present: Float[Tensor, "B V"],
    sure: Float[Tensor, "B V J"] | None,
) -> Float[Tensor, ""]:
    """Weighted mean over joints, mean over the views with the person, mean over instants."""
    apart = _length(off) if sure is None else _length(off) * sure
    each = apart.mean(-1)
    return ((each * present).sum(-1) / present.sum(-1).clamp_min(1)).mean()


def _length(vector: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
    return vector.square().sum(-1).clamp_min(TINY).sqrt()

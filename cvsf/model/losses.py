"""The losses: Eq. 3 to 7 of the paper as printed, label-free, and the plain distance to a known
body as the yardstick.

Axis m is the view that is looked at, axis n the view whose canonical pose is shown there; every
pair counts.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.alignment import align
from cvsf.model.geometry import TINY, weighted_centre


class StageWeights(NamedTuple):
    """What the terms of Eq. 7 weigh: w1 on Eq. 3 and 4, w2 on Eq. 5, and on Eq. 6 w2 or nothing."""

    inputs: float
    refined: float
    agreement: float


BASELINE = StageWeights(1.0, 0.0, 0.0)
STAGE1 = StageWeights(1.0, 0.01, 0.01)
STAGE2 = StageWeights(0.01, 1.0, 1.0)


def unit_norm(
    pose: Float[Tensor, "*batch J 2"], found: Float[Tensor, "*batch J"]
) -> Float[Tensor, "*batch J 2"]:
    """The pose about the centre of its found joints, divided by its Euclidean norm over them.

    The paper centres on the root; a root that nobody found has no place, the centre of the others
    has.
    """
    centred = (pose - weighted_centre(pose, found)) * found[..., None]
    return centred / centred.square().sum((-2, -1), keepdim=True).clamp_min(TINY).sqrt()


def reprojected(
    canonical: Float[Tensor, "B V J 3"], view_from_canonical: Float[Tensor, "B V 3 3"]
) -> Float[Tensor, "B V V J 2"]:
    """Eq. 1 for all pairs: the pose of view n (axis 2) as view m (axis 1) would see it."""
    return canonical[:, None] @ view_from_canonical[:, :, None, :2, :].mT


def deviation(
    pose2d: Float[Tensor, "B V J 2"],
    projected: Float[Tensor, "B V V J 2"],
    confidence: Float[Tensor, "B V J"],
) -> Float[Tensor, ""]:
    """Eq. 3 and 5: L1 of (P_m - P_n^rep / |P_n^rep|) weighed by C_m, summed over pairs, mean over
    instants.
    """
    found = (confidence > 0).to(pose2d.dtype)
    shown = unit_norm(projected, found[:, :, None].expand(*projected.shape[:-1]))
    error = (unit_norm(pose2d, found)[:, :, None] - shown).abs().sum(-1)
    present = found.amax(-1)
    # a view without the person has no canonical pose to show either
    return (error * confidence[:, :, None] * present[:, None, :, None]).sum((1, 2, 3)).mean()


def refinement(
    pose2d: Float[Tensor, "B V J 2"],
    refined: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
) -> Float[Tensor, ""]:
    """Eq. 4 of poses at unit norm, each view with its own: those of two views are not alike.

    Both sides are constants where the refined pose is an argmax: a figure to watch, without
    gradient.
    """
    return ((pose2d - refined).abs().sum(-1) * confidence).sum((1, 2)).mean()


def disagreement(
    canonical: Float[Tensor, "B V J 3"], present: Float[Tensor, "B V"]
) -> Float[Tensor, ""]:
    """Eq. 6: L1 between the canonical poses of every two views that saw the person."""
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
    """Mean joint distance to the known body in the axes of each view that saw it, at unit scale;
    every joint by how sure it is, where that is given.

    How a pose is divided into a body and a rotation is left open: asking for the truth's division
    as well made both worse (docs/log.md).
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
    """Mean over joints, by how sure they are, over the views that saw the person, over instants."""
    apart = _length(off) if sure is None else _length(off) * sure
    each = apart.mean(-1)
    return ((each * present).sum(-1) / present.sum(-1).clamp_min(1)).mean()


def _length(vector: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
    return vector.square().sum(-1).clamp_min(TINY).sqrt()

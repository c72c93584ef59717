"""Alignment of point sets in torch, equal to `cvsf.multiview.rotation.align`.

For losses and scores only: it has an SVD, which no exported graph may have.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.geometry import TINY


class Similarity(NamedTuple):
    """X becomes scale * R @ X + t."""

    scale: Float[Tensor, "*batch"]
    R: Float[Tensor, "*batch 3 3"]
    t: Float[Tensor, "*batch 3"]


def align(
    source: Float[Tensor, "*#batch J 3"],
    target: Float[Tensor, "*#batch J 3"],
    weight: Float[Tensor, "*#batch J"] | None = None,
    *,
    scale: bool = False,
) -> Similarity:
    """The twin of `cvsf.multiview.rotation.align`; NaN and inf count as 0 in the rotation."""
    if weight is None:
        weight = torch.ones_like((source + target)[..., 0])
    each = weight[..., None]
    total = each.sum(-2).clamp_min(TINY)
    source, target = (torch.where(each > 0, points, 0.0) for points in (source, target))
    middle, centre = ((each * points).sum(-2) / total for points in (source, target))
    from_ = source - middle[..., None, :]
    to = each * (target - centre[..., None, :])
    u, _, vt = torch.linalg.svd((to.mT @ from_).nan_to_num(posinf=0.0, neginf=0.0))
    proper = torch.ones_like(u[..., 0])
    proper[..., -1] = torch.linalg.det(u @ vt).sign()
    R = (u * proper[..., None, :]) @ vt
    size = torch.ones_like(R[..., 0, 0])
    if scale:
        spread = (each * from_.square()).sum((-2, -1))
        size = ((from_ @ R.mT) * to).sum((-2, -1)) / spread.clamp_min(TINY)
    return Similarity(size, R, centre - size[..., None] * (R @ middle[..., None])[..., 0])

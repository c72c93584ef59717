"""Alignment of point sets in torch (Umeyama 1991), equal to `cvsf.multiview.rotation.align`.

For losses and scores only: it has an SVD, which an exported graph must not have.
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
    """The similarity that takes `source` to `target`, with the least weighted sum of squared
    distances (Umeyama 1991), as `cvsf.multiview.rotation.align`: scale * R x + t, with t in the
    frame and unit of `target`. Reflections are excluded; without `scale` it is rigid, of scale 1.
    Points of weight 0 are left out and may be NaN; if all are, it is the identity. It does not
    raise for NaN or inf at other weights: they count as 0 in the rotation.
    """
    if weight is None:
        weight = torch.ones_like((source + target)[..., 0])
    each = weight[..., None]
    total = each.sum(-2).clamp_min(TINY)
    source, target = (torch.where(each > 0, points, 0.0) for points in (source, target))
    source_mean, target_mean = ((each * points).sum(-2) / total for points in (source, target))
    from_ = source - source_mean[..., None, :]
    to = each * (target - target_mean[..., None, :])
    u, _, vt = torch.linalg.svd((to.mT @ from_).nan_to_num(posinf=0.0, neginf=0.0))
    proper = torch.ones_like(u[..., 0])
    proper[..., -1] = torch.linalg.det(u @ vt).sign()
    R = (u * proper[..., None, :]) @ vt
    factor = torch.ones_like(R[..., 0, 0])
    if scale:
        spread = (each * from_.square()).sum((-2, -1))
        factor = ((from_ @ R.mT) * to).sum((-2, -1)) / spread.clamp_min(TINY)
    t = target_mean - factor[..., None] * (R @ source_mean[..., None])[..., 0]
    return Similarity(factor, R, t)

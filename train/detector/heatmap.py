"""Heatmaps and joints: the target a joint makes, the joint a heatmap holds, the losses between.

Cell (0, 0) covers pixels 0 to stride, so a joint at pixel x lies at cell x / stride - 0.5.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

_SIGMA_CELLS = 1.5
_REACH_CELLS = 2
"""The window of the weighted mean around a peak reaches this far to every side."""
_NEAR_CELLS = 2.0
"""A peak this close to the truth is sharpened; a farther one is the cross entropy's business."""


def gaussians(
    cells: Float[Tensor, "B J 2"], height: int, width: int, sigma: float = _SIGMA_CELLS
) -> Float[Tensor, "B J i j"]:
    """Heatmaps with a Gaussian of height 1 at every position (x, y), in cells from the centre of
    the first one; of one outside the map only the tail. `sigma` is in cells.
    """
    x = torch.arange(width, dtype=cells.dtype)
    y = torch.arange(height, dtype=cells.dtype)
    across = torch.exp(-((x - cells[..., 0:1]) ** 2) / (2 * sigma**2))
    down = torch.exp(-((y - cells[..., 1:2]) ** 2) / (2 * sigma**2))
    return down[..., :, None] * across[..., None, :]


def peaks(
    heatmaps: Float[Tensor, "B J i j"], reach: int = _REACH_CELLS
) -> tuple[Float[Tensor, "B J 2"], Float[Tensor, "B J"]]:
    """Of each map the keypoint (x, y) in cells, the weighted mean of the cells within `reach` of
    the highest one, and its height. The keypoint can be differentiated, the height cannot; a map of
    zeros gives (0, 0) and height 0.
    """
    height, width = heatmaps.shape[-2:]
    confidence, at = heatmaps.detach().flatten(-2).max(-1)
    offsets = torch.arange(-reach, reach + 1)
    x = (at % width)[..., None] + offsets  # (B, J, K)
    y = (at // width)[..., None] + offsets
    index = y.clamp(0, height - 1)[..., :, None] * width + x.clamp(0, width - 1)[..., None, :]
    inside = ((y >= 0) & (y < height))[..., :, None] & ((x >= 0) & (x < width))[..., None, :]
    weight = heatmaps.flatten(-2).gather(-1, index.flatten(-2)).view(index.shape) * inside
    total = weight.sum((-2, -1)).clamp_min(1e-6)
    across = (weight.sum(-2) * x).sum(-1) / total
    down = (weight.sum(-1) * y).sum(-1) / total
    return torch.stack([across, down], -1), confidence


def pose_loss(
    logits: Float[Tensor, "B J i j"], cells: Float[Tensor, "B J 2"], weight: float
) -> Float[Tensor, ""]:
    """Cross entropy of heatmaps (before the sigmoid) to Gaussians, summed over cells, plus `weight`
    times the distance (x and y added, in cells) of peaks that are within 2 cells of the truth,
    farther ones as 0. Both are means over joints and pictures.
    """
    target = gaussians(cells, *logits.shape[-2:])
    heat = (
        binary_cross_entropy_with_logits(logits, target, reduction="sum")
        / target[..., 0, 0].numel()
    )
    found, _ = peaks(torch.sigmoid(logits))
    off = (found - cells).abs().sum(-1)
    near = (off.detach() < _NEAR_CELLS).to(off.dtype)
    return heat + weight * (off * near).mean()


def box_loss(
    logits: Float[Tensor, "B 3 i j"], centre_cells: Float[Tensor, "B 2"], size: Float[Tensor, "B 2"]
) -> Float[Tensor, ""]:
    """Cross entropy of the centre map, and twice the relative error of width and height around the
    centre. `logits` are before the sigmoid: centre, width, height; `size` is in shares of the
    picture, held between 0.01 and 0.99.
    """
    rows, columns = logits.shape[-2:]
    target = gaussians(centre_cells[:, None], rows, columns, sigma=1.0)
    heat = binary_cross_entropy_with_logits(logits[:, :1], target, reduction="sum") / len(logits)
    wanted = size[:, :, None, None].clamp(0.01, 0.99)
    off = (torch.sigmoid(logits[:, 1:]) - wanted).abs() / wanted
    return heat + 2 * (off * target).sum() / target.sum().clamp_min(1e-6)

"""The lifter: one view's 2D pose and confidences to a canonical 3D pose and the rotation into that
view.

It sees a pose relative to its own centre and size, and a joint nobody found does not exist for it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cvsf.geometry import TINY, rotation_from_6d, weighted_centre


@dataclass(frozen=True, slots=True, kw_only=True)
class LifterShape:
    """How large the network is."""

    joints: int
    width: int = 384
    blocks: int = 3


class _Residual(nn.Module):
    """Two linear layers around which the signal also passes untouched."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        inner = nn.functional.leaky_relu(self.a(self.norm(x)), 0.01)
        return x + nn.functional.leaky_relu(self.b(inner), 0.01)


class Lifter(nn.Module):
    """A residual MLP with two heads: canonical joints, and six numbers that make a rotation."""

    def __init__(self, shape: LifterShape) -> None:
        super().__init__()
        self.shape = shape
        self.stem = nn.Linear(3 * shape.joints, shape.width)
        self.blocks = nn.Sequential(*(_Residual(shape.width) for _ in range(shape.blocks)))
        self.norm = nn.LayerNorm(shape.width)
        self.pose = nn.Linear(shape.width, 3 * shape.joints)
        self.rotation = nn.Linear(shape.width, 6)

    def forward(
        self, pose2d: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*batch J"]
    ) -> tuple[Float[Tensor, "*batch J 3"], Float[Tensor, "*batch 3 3"]]:
        """Canonical joints, pelvis at the origin, and view_from_canonical; any scale and place of
        pose2d.
        """
        centred, _, _ = normalised(pose2d, confidence)
        seen = torch.cat([centred.flatten(-2), confidence], -1)
        hidden = self.norm(self.blocks(nn.functional.leaky_relu(self.stem(seen), 0.01)))
        canonical = self.pose(hidden)
        canonical = canonical.reshape(*canonical.shape[:-1], self.shape.joints, 3)
        return canonical - canonical[..., :1, :], rotation_from_6d(self.rotation(hidden))

    @torch.no_grad()
    def turn_depth_over(self) -> None:
        """Give the depth-mirrored body instead, with not one reprojection changed.

        F X seen through F R F, F = diag(1, 1, -1), looks like X seen through R: no label-free loss
        tells them apart.
        """
        flip = torch.tensor([1.0, 1.0, -1.0])
        for head in (self.pose, self.rotation):
            signs = flip.repeat(len(head.bias) // 3).to(head.bias)
            head.weight.mul_(signs[:, None])
            head.bias.mul_(signs)


def normalised(
    pose2d: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*batch J"]
) -> tuple[Float[Tensor, "*batch J 2"], Float[Tensor, "*batch 1 2"], Float[Tensor, "*batch 1 1"]]:
    """The pose about the centre of its found joints at unit RMS radius (missing joints 0), its
    centre and radius.

    The centre of what was found, not the root: the root may be hidden, the centre never is.
    """
    found = (confidence > 0).to(pose2d.dtype)
    pose2d = torch.where(confidence[..., None] > 0, pose2d, 0.0)
    centre = weighted_centre(pose2d, found)
    centred = (pose2d - centre) * found[..., None]
    energy = centred.square().sum((-2, -1), keepdim=True)
    radius = (energy / found.sum(-1)[..., None, None].clamp_min(1)).clamp_min(TINY).sqrt()
    return centred / radius, centre, radius

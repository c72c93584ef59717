"""The morph: a detector's joints moved to where the ground truth has them, view by view.

It learns what a detector always does (a bias, a midpoint for a joint, no head at all), not what it
does by accident: it is shown which joints were found and never how sure of them a detector was.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cvsf.model.lifter import normalised

WIDTH = 128
LAYERS = 3
FILLED = 0.5
"""Confidence of a placed joint over the mean confidence of the joints that the detector gives."""


class Morph(nn.Module):
    """A small residual network from one view's pose to offsets in units of the pose's radius.

    The 2D skeleton morphing network of CanonPose (CVPR 2021), which the paper takes from there. A
    new one is exactly the identity.
    """

    fills: Tensor  # (J,) the joints that the detector never gives and the truth has

    def __init__(self, joints: int, width: int = WIDTH, layers: int = LAYERS) -> None:
        super().__init__()
        self.shape = {"joints": joints, "width": width, "layers": layers}
        self.stem = nn.Linear(3 * joints, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.offset = nn.Linear(width, 2 * joints)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)
        self.register_buffer("fills", torch.zeros(joints, dtype=torch.bool))

    def forward(
        self, keypoints_px: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*batch J"]
    ) -> tuple[Float[Tensor, "*batch J 2"], Float[Tensor, "*batch J"]]:
        """Where the truth would have the joints, and how sure of each.

        A found joint is as sure as before and one that nobody found stays unfound. `fills` are
        placed in every view that has the person, whatever the detector says of them.
        """
        given = torch.where(self.fills, 0.0, confidence)
        centred, centre, radius = normalised(keypoints_px, given)
        offset = self._offsets(centred, (given > 0).to(centred.dtype))
        from_ = torch.where(self.fills[:, None], centre, keypoints_px)
        count = (~self.fills).to(given.dtype).sum().clamp_min(1)
        placed = FILLED * given.sum(-1, keepdim=True) / count
        sure = torch.where(self.fills, placed, given)
        return torch.where(sure[..., None] > 0, from_ + radius * offset, keypoints_px), sure

    def _offsets(self, centred: Tensor, found: Tensor) -> Float[Tensor, "*batch J 2"]:
        hidden = nn.functional.leaky_relu(self.stem(torch.cat([centred.flatten(-2), found], -1)))
        for layer in self.layers:
            hidden = hidden + nn.functional.leaky_relu(layer(hidden))
        offset: Tensor = self.offset(hidden)
        return offset.reshape(centred.shape)

    def at_rest(self) -> dict[str, Any]:
        """Shape and weights, plain values and tensors only."""
        return {"shape": dict(self.shape), "weights": self.state_dict()}


def morph_from(rest: dict[str, Any]) -> Morph:
    """The network that was put to rest, ready to run."""
    morph = Morph(**rest["shape"])
    morph.load_state_dict(rest["weights"])
    return morph.eval()

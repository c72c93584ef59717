"""The morph: a detector's keypoints moved to the convention of the ground truth, view by view.

It learns a detector's systematic differences (a bias, a midpoint for a joint, no head at all), not
its errors: its inputs are the keypoints and which were detected, never their confidences.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from cvsf.model.lifter import normalised

WIDTH, LAYERS = 128, 3
"""A guess, not measured."""
FILLED = 0.5
"""Confidence of a filled-in joint over the mean confidence of the detector's joints; a guess, not
measured.
"""


class Morph(nn.Module):
    """A small residual network from one view's pose to offsets in units of the pose's radius.

    The 2D skeleton morphing network of CanonPose (Wandt et al., CVPR 2021), which the paper uses. A
    new one is exactly the identity.
    """

    fills: Bool[Tensor, " J"]  # joints that the ground truth has and the detector never gives

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
        """The joints in the convention of the ground truth, and their confidences.

        A detected joint keeps its confidence, one that was not detected keeps confidence 0. `fills`
        are predicted in every view that has the person; the detector's values of them are ignored.
        """
        given = torch.where(self.fills, 0.0, confidence)
        centred, centre, radius = normalised(keypoints_px, given)
        offset = self._offsets(centred, (given > 0).to(centred.dtype))
        from_ = torch.where(self.fills[:, None], centre, keypoints_px)
        count = (~self.fills).to(given.dtype).sum().clamp_min(1)
        filled = FILLED * given.sum(-1, keepdim=True) / count
        sure = torch.where(self.fills, filled, given)
        return torch.where(sure[..., None] > 0, from_ + radius * offset, keypoints_px), sure

    def _offsets(
        self, centred: Float[Tensor, "*batch J 2"], found: Float[Tensor, "*batch J"]
    ) -> Float[Tensor, "*batch J 2"]:
        hidden = nn.functional.leaky_relu(self.stem(torch.cat([centred.flatten(-2), found], -1)))
        for layer in self.layers:
            hidden = hidden + nn.functional.leaky_relu(layer(hidden))
        offset: Tensor = self.offset(hidden)
        return offset.reshape(centred.shape)

    def at_rest(self) -> dict[str, Any]:
        """Shape and weights, plain values and tensors only."""
        return {"shape": dict(self.shape), "weights": self.state_dict()}


def morph_from(rest: dict[str, Any]) -> Morph:
    """The network of `at_rest`, ready to run."""
    morph = Morph(**rest["shape"])
    morph.load_state_dict(rest["weights"])
    return morph.eval()

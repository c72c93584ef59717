"""The keypoint adapter (morph): from a detector's keypoint convention to that of the ground truth.

It learns systematic differences of a detector (a bias, a midpoint for a joint, no head at all), not
its errors: its inputs are the keypoints and which were detected, never their confidences.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from cvsf.model.lifter import normalised

WIDTH, LAYERS = 128, 3
"""Guesses, not measured."""
FILLED = 0.5
"""Confidence of a filled-in joint over the mean confidence of the detector's joints; a guess, not
measured.
"""


class Morph(nn.Module):
    """A small residual network from the keypoints of one view to their offsets, over the pose's
    radius.

    The 2D skeleton morphing network of CanonPose (Wandt et al., CVPR 2021), which the paper uses.
    Untrained, it is the identity.

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
        """The keypoints (px) in the convention of the ground truth, and their confidences.

        Joints of the detector keep their confidence, also 0, and move only if it is above 0. Joints
        of `fills` are predicted in every view that has the person, at half the mean confidence of
        the others; the detector's values of them are ignored. A view without the person keeps its
        keypoints.
        """
        detected = torch.where(self.fills, 0.0, confidence)
        centred, centre, radius = normalised(keypoints_px, detected)
        offset = self._offsets(centred, (detected > 0).to(centred.dtype))
        start = torch.where(self.fills[:, None], centre, keypoints_px)
        count = (~self.fills).to(detected.dtype).sum().clamp_min(1)
        filled = FILLED * detected.sum(-1, keepdim=True) / count
        output = torch.where(self.fills, filled, detected)
        return torch.where(output[..., None] > 0, start + radius * offset, keypoints_px), output

    def _offsets(
        self, centred: Float[Tensor, "*batch J 2"], found: Float[Tensor, "*batch J"]
    ) -> Float[Tensor, "*batch J 2"]:
        hidden = nn.functional.leaky_relu(self.stem(torch.cat([centred.flatten(-2), found], -1)))
        for layer in self.layers:
            hidden = hidden + nn.functional.leaky_relu(layer(hidden))
        offset: Tensor = self.offset(hidden)
        return offset.reshape(centred.shape)

    def to_plain(self) -> dict[str, Any]:
        """Shape and weights of the network as maps, lists, numbers and tensors. The tensors share
        memory with the network: training changes them.
        """
        return {"shape": dict(self.shape), "weights": self.state_dict()}


def morph_from_plain(plain: dict[str, Any]) -> Morph:
    """A new keypoint adapter from what `to_plain` returned, in evaluation mode and on the CPU; the
    weights are copied. RuntimeError if they do not fit the shape, KeyError if a part is missing,
    TypeError if the shape has an unknown entry.
    """
    morph = Morph(**plain["shape"])
    morph.load_state_dict(plain["weights"])
    return morph.eval()

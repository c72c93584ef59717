"""The lifter: one view's 2D pose and confidences to a canonical 3D pose and the rotation into that
view.

It sees a pose relative to its own centre and size, and a joint nobody found does not exist for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cvsf.model.geometry import TINY, rotation_from_6d, rotation_from_axis_angle, weighted_centre

Turn = Literal["6d", "axis-angle"]

# what a mirror does to a picture, to the body's frame (left and right exchanged) and to the first
# two rows of a rotation from that frame into the picture
_ACROSS = (-1.0, 1.0)
_SIDES = (1.0, -1.0, 1.0)
_TURNED = (-1.0, 1.0, -1.0, 1.0, -1.0, 1.0)

_FAR = 5.0
"""Radii of the person, and their logarithm: no movement counts as farther."""
_ROUND = 1e-6
"""Under the root of a bone's squared length, so that its slope stays finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifterShape:
    """How large the network is and how it says a rotation."""

    joints: int
    width: int = 384
    blocks: int = 3  # residual blocks that both heads share
    head_blocks: int = 0  # and that each of the two heads has for itself
    layer_norm: bool = True
    rotation: Turn = "6d"
    parents: tuple[int, ...] = ()  # of each joint; given, the network is told the bones' lengths
    mirrored: tuple[int, ...] = ()  # joints with sides exchanged; given, it treats them alike
    frames: int = 1  # a window of so many is read for the pose in its middle
    memory: int = 96  # numbers that each frame of a window is remembered by

    def __post_init__(self) -> None:
        if self.frames % 2 == 0:
            raise ValueError(f"a window is {self.frames} frames, expected an odd number")
        if self.mirrored and self.rotation != "6d":
            raise ValueError("a lifter that treats both sides alike says rotations in 6d")


class _Residual(nn.Module):
    """Two linear layers around which the signal also passes untouched."""

    def __init__(self, width: int, layer_norm: bool) -> None:
        super().__init__()
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width) if layer_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = nn.functional.leaky_relu(self.a(self.norm(x)), 0.01)
        return x + nn.functional.leaky_relu(self.b(inner), 0.01)


class _Window(nn.Module):
    """What the frames around it add to the middle one, each remembered by a few numbers only.

    It begins as nothing: a lifter of windows starts as the lifter of single frames that it holds.
    """

    def __init__(self, shape: LifterShape) -> None:
        super().__init__()
        self.remember = nn.Linear(shape.width + 3, shape.memory)
        self.norm = nn.LayerNorm(shape.width) if shape.layer_norm else nn.Identity()
        self.join = nn.Linear(shape.frames * shape.memory, shape.width)
        self.add = nn.Linear(shape.width, shape.width)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)

    def forward(self, frames: Tensor, moved: Tensor, present: Tensor) -> Tensor:
        """Features (*batch, T, width), how the person moved in the picture (*batch, T, 3) and which
        frames show them to (*batch, width).
        """
        told = torch.cat([self.norm(frames), moved], -1)
        memory = nn.functional.leaky_relu(self.remember(told), 0.01)
        memory = (memory * present[..., None]).flatten(-2)
        added: Tensor = self.add(nn.functional.leaky_relu(self.join(memory), 0.01))
        return frames[..., frames.shape[-2] // 2, :] + added


class Lifter(nn.Module):
    """A residual MLP with two heads: canonical joints, and the numbers that make a rotation.

    Section 3.1 of the paper; `matrix_type` is what the wide layers multiply in (bfloat16 on a GPU).
    With a window its inputs have an axis of frames before that of the joints.
    """

    def __init__(self, shape: LifterShape) -> None:
        super().__init__()
        self.shape = shape
        self.matrix_type: torch.dtype | None = None
        width = shape.width

        def stack(count: int) -> nn.Sequential:
            return nn.Sequential(*(_Residual(width, shape.layer_norm) for _ in range(count)))

        self.stem = nn.Linear((5 if shape.parents else 3) * shape.joints, width)
        self.blocks = stack(shape.blocks)
        self.window = _Window(shape) if shape.frames > 1 else None
        self.pose_blocks, self.rotation_blocks = stack(shape.head_blocks), stack(shape.head_blocks)
        self.norm = nn.LayerNorm(width) if shape.layer_norm else nn.Identity()
        self.pose = nn.Linear(width, 3 * shape.joints)
        self.rotation = nn.Linear(width, 6 if shape.rotation == "6d" else 3)

    def forward(
        self, pose2d: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*batch J"]
    ) -> tuple[Float[Tensor, "*batch J 3"], Float[Tensor, "*batch 3 3"]]:
        """Canonical joints, pelvis at the origin, and view_from_canonical; any scale and place of
        pose2d.
        """
        centred, centre, radius = normalised(pose2d, confidence)
        moved = None if self.window is None else _moved(centre, radius)
        if not self.shape.mirrored:
            canonical, turn = self._lifted(centred, confidence, moved)
        else:
            order = list(self.shape.mirrored)
            both = torch.stack([centred, centred[..., order, :] * centred.new_tensor(_ACROSS)])
            if moved is not None:
                moved = torch.stack([moved, moved * moved.new_tensor((*_ACROSS, 1.0))])
            sure = torch.stack([confidence, confidence[..., order]])
            canonical, turn = self._lifted(both, sure, moved)
            canonical = canonical[0] + canonical[1][..., order, :] * canonical.new_tensor(_SIDES)
            turn = turn[0] + turn[1] * turn.new_tensor(_TURNED)
        rotation = (
            rotation_from_6d(turn)
            if self.shape.rotation == "6d"
            else rotation_from_axis_angle(turn)
        )
        return canonical - canonical[..., :1, :], rotation

    def _lifted(
        self, centred: Tensor, confidence: Tensor, moved: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What the two heads say of normalised poses."""
        told = [centred.flatten(-2), confidence]
        if self.shape.parents:
            told += bone_lengths(centred, confidence, self.shape.parents)
        for_pose, for_rotation = self._hidden(torch.cat(told, -1), confidence, moved)
        canonical = self.pose(for_pose)
        shape = (*canonical.shape[:-1], self.shape.joints, 3)
        return canonical.reshape(shape), self.rotation(for_rotation)

    def _hidden(
        self, seen: Tensor, confidence: Tensor, moved: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What the two heads read, in the input's precision whatever the layers multiply in."""
        if self.matrix_type is None:
            return self._layers(seen, confidence, moved)
        with torch.autocast(seen.device.type, self.matrix_type):
            for_pose, for_rotation = self._layers(seen, confidence, moved)
        return for_pose.to(seen.dtype), for_rotation.to(seen.dtype)

    def _layers(
        self, seen: Tensor, confidence: Tensor, moved: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        shared = self.blocks(nn.functional.leaky_relu(self.stem(seen), 0.01))
        if self.window is not None and moved is not None:
            shared = self.window(shared, moved, (confidence.amax(-1) > 0).to(shared.dtype))
        return self.norm(self.pose_blocks(shared)), self.norm(self.rotation_blocks(shared))

    @torch.no_grad()
    def turn_depth_over(self) -> None:
        """Give the depth-mirrored body instead, with not one reprojection changed.

        F X seen through F R F, F = diag(1, 1, -1), looks like X seen through R: no label-free loss
        tells them apart.
        """
        flip = torch.tensor([1.0, 1.0, -1.0])
        # two rows of a rotation turn over like points, a rotation vector like an axis
        turned = flip if self.shape.rotation == "6d" else -flip
        for head, sign in ((self.pose, flip), (self.rotation, turned)):
            signs = sign.repeat(len(head.bias) // 3).to(head.bias)
            head.weight.mul_(signs[:, None])
            head.bias.mul_(signs)


def _moved(centre: Tensor, radius: Tensor) -> Tensor:
    """Where the person is in each frame (*batch, T, 3) and how large, against the middle frame."""
    middle = centre.shape[-3] // 2
    size = radius[..., middle : middle + 1, :, :]
    aside = (centre - centre[..., middle : middle + 1, :, :]) / size
    return torch.cat([aside, (radius / size).log()], -1)[..., 0, :].clamp(-_FAR, _FAR)


def bone_lengths(
    pose: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*batch J"], parents: Sequence[int]
) -> list[Float[Tensor, "*batch J"]]:
    """Each bone's length in the picture and its square, nothing where an end was not found.

    A bone's depth is what is left of its length, and a network would have to learn to square.
    """
    ends = [max(parent, 0) for parent in parents]
    found = (confidence > 0).to(pose.dtype)
    bone = pose - pose[..., ends, :]
    square = bone.square().sum(-1) * found * found[..., ends]
    return [(square + _ROUND).sqrt(), square]


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

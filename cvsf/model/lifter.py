"""The lifter: 2D pose and confidences of one view to a canonical 3D pose and the view's rotation.

The 2D pose is normalised to zero mean and unit radius; a joint that was not detected is 0 in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cvsf.model.geometry import TINY, rotation_from_6d, rotation_from_axis_angle, weighted_centre

RotationForm = Literal["6d", "axis-angle"]

# signs of a left-right mirror: of a 2D pose, of a 3D pose in the body's frame, and of the first two
# rows of the rotation from that frame into the view
_POSE2D_SIGNS = (-1.0, 1.0)
_POSE3D_SIGNS = (1.0, -1.0, 1.0)
_ROTATION_SIGNS = (-1.0, 1.0, -1.0, 1.0, -1.0, 1.0)

_MOST_MOVEMENT = 5.0
"""Bound of `_movement`, in radii of the person and in their logarithm; a guess, not measured."""
_SMOOTHING = 1e-6
"""Added under the root of a bone's squared length, so that its gradient stays finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifterShape:
    """Size of the network, and the form in which it gives a rotation.

    The shipped size was chosen in docs/log.md, 2026-11-22 and 2026-11-23.
    """

    joints: int
    width: int = 384
    blocks: int = 3  # residual blocks that both heads share
    head_blocks: int = 0  # residual blocks of each of the two heads
    layer_norm: bool = True
    rotation: RotationForm = "6d"
    parents: tuple[int, ...] = ()  # of each joint; given, the bones' lengths are inputs too
    mirrored: tuple[
        int, ...
    ] = ()  # joints with sides exchanged; given, it is equivariant to the mirror
    frames: int = 1  # length of the window whose middle frame is lifted
    memory: int = 96  # features of each frame of a window

    def __post_init__(self) -> None:
        if self.frames % 2 == 0:
            raise ValueError(f"a window is {self.frames} frames, expected an odd number")
        if self.mirrored and self.rotation != "6d":
            raise ValueError(
                "a lifter that is equivariant to the left-right mirror gives rotations in 6d"
            )


class _Residual(nn.Module):
    """Two linear layers with a skip connection."""

    def __init__(self, width: int, layer_norm: bool) -> None:
        super().__init__()
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width) if layer_norm else nn.Identity()

    def forward(self, x: Float[Tensor, "*batch W"]) -> Float[Tensor, "*batch W"]:
        inner = nn.functional.leaky_relu(self.a(self.norm(x)), 0.01)
        return x + nn.functional.leaky_relu(self.b(inner), 0.01)


class _Window(nn.Module):
    """Adds to the features of the middle frame what the other frames of the window contribute.

    Its last layer starts at zero: an untrained one equals the lifter of single frames.
    """

    def __init__(self, shape: LifterShape) -> None:
        super().__init__()
        self.remember = nn.Linear(shape.width + 3, shape.memory)
        self.norm = nn.LayerNorm(shape.width) if shape.layer_norm else nn.Identity()
        self.join = nn.Linear(shape.frames * shape.memory, shape.width)
        self.add = nn.Linear(shape.width, shape.width)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)

    def forward(
        self,
        frames: Float[Tensor, "*batch T W"],
        movement: Float[Tensor, "*batch T 3"],
        present: Float[Tensor, "*batch T"],
    ) -> Float[Tensor, "*batch W"]:
        """The middle frame's features, from all frames' features, movements and presence: 1 if the
        frame has the person, else 0. A frame without the person counts as zeros.
        """
        inputs = torch.cat([self.norm(frames), movement], -1)
        memory = nn.functional.leaky_relu(self.remember(inputs), 0.01)
        memory = (memory * present[..., None]).flatten(-2)
        added: Tensor = self.add(nn.functional.leaky_relu(self.join(memory), 0.01))
        return frames[..., frames.shape[-2] // 2, :] + added


class Lifter(nn.Module):
    """A residual MLP with two heads: canonical joints, and the parameters of a rotation.

    Section 3.1 of the paper; `matrix_type` is the type of the wide layers (bfloat16 on a GPU). With
    a window the inputs have an axis of frames before that of the joints; the outputs do not.
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
        self, pose2d: Float[Tensor, "*frames J 2"], confidence: Float[Tensor, "*frames J"]
    ) -> tuple[Float[Tensor, "*batch J 3"], Float[Tensor, "*batch 3 3"]]:
        """Canonical joints (pelvis at the origin; their scale is not fixed) and view_from_canonical
        of each view. `pose2d` is x right, y down, at any scale and position; a joint of confidence
        0 is ignored. With a window, the axis before the joints is that of the frames, and the
        middle frame is lifted.
        """
        centred, centre, radius = normalised(pose2d, confidence)
        movement = None if self.window is None else _movement(centre, radius)
        if not self.shape.mirrored:
            canonical, parameters = self._lifted(centred, confidence, movement)
        else:
            order = list(self.shape.mirrored)
            signs = centred.new_tensor(_POSE2D_SIGNS)
            both = torch.stack([centred, centred[..., order, :] * signs])
            if movement is not None:
                signs = movement.new_tensor((*_POSE2D_SIGNS, 1.0))
                movement = torch.stack([movement, movement * signs])
            both_confidence = torch.stack([confidence, confidence[..., order]])
            canonical, parameters = self._lifted(both, both_confidence, movement)
            signs = canonical.new_tensor(_POSE3D_SIGNS)
            canonical = canonical[0] + canonical[1][..., order, :] * signs
            signs = parameters.new_tensor(_ROTATION_SIGNS)
            parameters = parameters[0] + parameters[1] * signs
        rotation = (
            rotation_from_6d(parameters)
            if self.shape.rotation == "6d"
            else rotation_from_axis_angle(parameters)
        )
        return canonical - canonical[..., :1, :], rotation

    def _lifted(
        self,
        centred: Float[Tensor, "*frames J 2"],
        confidence: Float[Tensor, "*frames J"],
        movement: Float[Tensor, "*frames 3"] | None,
    ) -> tuple[Float[Tensor, "*batch J 3"], Float[Tensor, "*batch R"]]:
        """The outputs of the two heads for normalised poses."""
        inputs = [centred.flatten(-2), confidence]
        if self.shape.parents:
            inputs += bone_lengths(centred, confidence, self.shape.parents)
        for_pose, for_rotation = self._hidden(torch.cat(inputs, -1), confidence, movement)
        canonical = self.pose(for_pose)
        shape = (*canonical.shape[:-1], self.shape.joints, 3)
        return canonical.reshape(shape), self.rotation(for_rotation)

    def _hidden(
        self,
        inputs: Float[Tensor, "*frames D"],
        confidence: Float[Tensor, "*frames J"],
        movement: Float[Tensor, "*frames 3"] | None,
    ) -> tuple[Float[Tensor, "*batch W"], Float[Tensor, "*batch W"]]:
        """The inputs of the two heads, in the precision of `inputs` for any `matrix_type`."""
        if self.matrix_type is None:
            return self._layers(inputs, confidence, movement)
        with torch.autocast(inputs.device.type, self.matrix_type):
            for_pose, for_rotation = self._layers(inputs, confidence, movement)
        return for_pose.to(inputs.dtype), for_rotation.to(inputs.dtype)

    def _layers(
        self,
        inputs: Float[Tensor, "*frames D"],
        confidence: Float[Tensor, "*frames J"],
        movement: Float[Tensor, "*frames 3"] | None,
    ) -> tuple[Float[Tensor, "*batch W"], Float[Tensor, "*batch W"]]:
        shared = self.blocks(nn.functional.leaky_relu(self.stem(inputs), 0.01))
        if self.window is not None and movement is not None:
            shared = self.window(shared, movement, (confidence.amax(-1) > 0).to(shared.dtype))
        return self.norm(self.pose_blocks(shared)), self.norm(self.rotation_blocks(shared))

    @torch.no_grad()
    def mirror_depth(self) -> None:
        """Change the weights in place so that the output is reflected in depth, which changes no
        reprojection (Necker's reversal); a second call restores them.

        With F = diag(1, 1, -1), the pose F X with rotation F R F has the 2D pose (Eq. 1) of X with
        R, so no label-free loss distinguishes the two.
        """
        flip = torch.tensor([1.0, 1.0, -1.0])
        # rows of a rotation change sign like points, a rotation vector like an axis
        rotation_flip = flip if self.shape.rotation == "6d" else -flip
        for head, sign in ((self.pose, flip), (self.rotation, rotation_flip)):
            signs = sign.repeat(len(head.bias) // 3).to(head.bias)
            head.weight.mul_(signs[:, None])
            head.bias.mul_(signs)


def _movement(
    centre: Float[Tensor, "*batch T 1 2"], radius: Float[Tensor, "*batch T 1 1"]
) -> Float[Tensor, "*batch T 3"]:
    """The person's position (2) and log radius (1) in each frame, relative to the middle frame."""
    middle = centre.shape[-3] // 2
    size = radius[..., middle : middle + 1, :, :]
    aside = (centre - centre[..., middle : middle + 1, :, :]) / size
    movement = torch.cat([aside, (radius / size).log()], -1)[..., 0, :]
    return movement.clamp(-_MOST_MOVEMENT, _MOST_MOVEMENT)


def bone_lengths(
    pose: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*batch J"], parents: Sequence[int]
) -> list[Float[Tensor, "*batch J"]]:
    """Length of the bone from each joint to its parent in the picture, and its square, in the unit
    of the pose; 0.001 and 0 where an end was not detected. A joint without parent (-1) is measured
    to joint 0.

    The extent of a bone in depth depends on the square of its length in the picture.
    """
    ends = [max(parent, 0) for parent in parents]
    found = (confidence > 0).to(pose.dtype)
    bone = pose - pose[..., ends, :]
    square = bone.square().sum(-1) * found * found[..., ends]
    return [(square + _SMOOTHING).sqrt(), square]


def normalised(
    pose2d: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*batch J"]
) -> tuple[Float[Tensor, "*batch J 2"], Float[Tensor, "*batch 1 2"], Float[Tensor, "*batch 1 1"]]:
    """The 2D pose at zero mean and unit RMS radius (no unit; joints that were not detected at 0),
    its mean and its radius, in the unit of `pose2d`. If none was detected: zeros, mean 0, and a
    radius near 0.

    The paper centres on the root joint; here it is the mean of the detected joints, as the root may
    not be detected.
    """
    found = (confidence > 0).to(pose2d.dtype)
    pose2d = torch.where(confidence[..., None] > 0, pose2d, 0.0)
    centre = weighted_centre(pose2d, found)
    centred = (pose2d - centre) * found[..., None]
    energy = centred.square().sum((-2, -1), keepdim=True)
    radius = (energy / found.sum(-1)[..., None, None].clamp_min(1)).clamp_min(TINY).sqrt()
    return centred / radius, centre, radius

"""The two small networks of a person in a picture: where the person is, where the joints are.

Pictures enter as RGB in 0..1; every normalisation is inside the graph, so none can disagree.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from train.export.onnx_cleanup import bare, quietly

BOX_INPUT_PX = (160, 120)
"""Width and height of the whole picture as the box network sees it."""
POSE_INPUT_PX = 128
"""Side of the square crop as the pose network sees it."""
BOX_STRIDE = 8
POSE_STRIDE = 4
_OPSET = 18


def _conv(channels_in: int, channels: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, side, stride, side // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions added to what came in: faster on a CPU than depthwise ones."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = _conv(channels, channels)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """The features after this block, of the same size."""
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Down(nn.Module):
    """Half the resolution, then residual blocks."""

    def __init__(self, channels_in: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.stride = _conv(channels_in, channels, stride=2)
        self.blocks = nn.Sequential(*[Residual(channels) for _ in range(blocks)])

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D i j"]:
        """The features at half the resolution, which is rounded up."""
        return self.blocks(torch.relu(self.stride(x)))  # type: ignore[no-any-return]


class Up(nn.Module):
    """The coarser map at the finer one's resolution, added to it, then a residual block."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.narrow = _conv(channels_in, channels, side=1)
        self.block = Residual(channels)

    def forward(
        self, x: Float[Tensor, "B C i j"], finer: Float[Tensor, "B D h w"]
    ) -> Float[Tensor, "B D h w"]:
        """The coarse features `x`, enlarged to the resolution of `finer` (nearest neighbour) and
        added to it, then a residual block.
        """
        wide = interpolate(self.narrow(x), size=finer.shape[-2:], mode="nearest")
        return self.block(torch.relu(wide + finer))  # type: ignore[no-any-return]


class PoseNetwork(nn.Module):
    """One heatmap a joint for a square crop around a person, at a quarter of its resolution."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.stem = _conv(3, 16, stride=2)
        self.fine, self.middle = Down(16, 32, 1), Down(32, 48, 1)
        self.coarse, self.whole = Down(48, 64, 2), Down(64, 80, 1)
        self.up_coarse, self.up_middle, self.up_fine = Up(80, 64), Up(64, 48), Up(48, 32)
        self.head = nn.Conv2d(32, joints, 1)
        nn.init.constant_(self.head.bias, -4.0)  # type: ignore[arg-type]  # most cells hold no joint

    def logits(self, image: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B J i j"]:
        """Heatmaps before the sigmoid, one a joint, at a quarter of the resolution, from RGB
        pictures with values 0 to 1.
        """
        fine = self.fine(torch.relu(self.stem(4 * image - 2)))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        x = self.up_coarse(self.whole(coarse), coarse)
        return self.head(self.up_fine(self.up_middle(x, middle), fine))  # type: ignore[no-any-return]

    def forward(self, image: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B J i j"]:
        """Heatmaps, 0 to 1, one a joint, at a quarter of the resolution, from RGB pictures with
        values 0 to 1.
        """
        return torch.sigmoid(self.logits(image))


class BoxNetwork(nn.Module):
    """Where a person's box has its centre, and for every cell how wide and high it would be."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.entry = _conv(3, 16, stride=2), Down(16, 24, 0)
        self.fine, self.coarse = Down(24, 32, 1), Down(32, 48, 2)
        self.up = Up(48, 32)
        self.head = nn.Conv2d(32, 3, 1)
        nn.init.constant_(self.head.bias, -2.0)  # type: ignore[arg-type]

    def logits(self, image: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B 3 i j"]:
        """Maps of the box's centre, width and height before the sigmoid, at an eighth of the
        resolution, from RGB pictures with values 0 to 1.
        """
        fine = self.fine(self.entry(torch.relu(self.stem(4 * image - 2))))
        return self.head(self.up(self.coarse(fine), fine))  # type: ignore[no-any-return]

    def forward(
        self, image: Float[Tensor, "B 3 h w"]
    ) -> tuple[Float[Tensor, "B 1 i j"], Float[Tensor, "B 2 i j"]]:
        """Maps, 0 to 1, at an eighth of the resolution: of the box's centre, and of its width and
        height as shares of the picture. Pictures are RGB with values 0 to 1.
        """
        found = torch.sigmoid(self.logits(image))
        return found[:, :1], found[:, 1:]


def export_pose(network: PoseNetwork, path: Path) -> None:
    """Write the pose network as ONNX to `path`: input `image` (values 0 to 1), output `heatmaps`,
    any batch size. The network is put in evaluation mode. ValueError, after the file was written,
    unless ONNX Runtime computes what torch does.
    """
    image = torch.rand(2, 3, POSE_INPUT_PX, POSE_INPUT_PX)
    _export(network, image, ["heatmaps"], path)


def export_box(network: BoxNetwork, path: Path) -> None:
    """Write the box network as ONNX to `path`: input `image` (values 0 to 1), outputs `centre` and
    `size`, any batch size. The network is put in evaluation mode. ValueError, after the file was
    written, unless ONNX Runtime computes what torch does.
    """
    width, height = BOX_INPUT_PX
    _export(network, torch.rand(2, 3, height, width), ["centre", "size"], path)


def _export(network: nn.Module, image: Tensor, outputs: list[str], path: Path) -> None:
    """The network as ONNX, refused unless ONNX Runtime computes what torch does."""
    import onnxruntime

    network = network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as in fit
    with quietly():
        program = torch.onnx.export(
            network,
            (image,),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["image"],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    path.write_bytes(bare(program.model_proto))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        picture = torch.rand(batch, *image.shape[1:])
        with torch.inference_mode():
            wanted = network(picture)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for name, want, got in zip(
            outputs, wanted, session.run(outputs, {"image": picture.numpy()}), strict=True
        ):
            worst = float((want - torch.from_numpy(got)).abs().max())
            if worst > 1e-4:
                raise ValueError(
                    f"{path.name} {name} is {worst:.1e} off torch, expected at most 1e-4"
                )

"""`cvsf train-detector`: the small 2D network of the simulated skier, pictures in, ONNX out.

The pictures it is scored on come from seeds that no training ever draws.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.detector.augment import box_batches, pose_batches
from train.detector.fit import fit
from train.detector.heatmap import box_loss, pose_loss
from train.detector.networks import (
    BOX_INPUT_PX,
    POSE_INPUT_PX,
    BoxNetwork,
    PoseNetwork,
    export_box,
    export_pose,
)
from train.detector.pictures import MARGIN, Pictures, read_pictures, render, shots
from train.detector.score import score

log = logging.getLogger(__name__)

_SEEDS_END = 100_000
_POSE_BATCH, _POSE_RATE = 32, 1.5e-3
_BOX_BATCH, _BOX_RATE = 32, 2e-3
_BOX_SHARE = 0.2
"""The box network is the smaller task and gets this share of the minutes."""
_PEAKS = {"min_confidence": 0.5, "full_confidence": 0.92}
"""Mean peaks on snow alone stay under 0.45 of full, on a skier over 0.6; measured."""
_SHARPEN = 3.0
"""Weight of the distance in cells beside the cross entropy of the heatmaps."""


def train_detector(
    pictures: Annotated[Path, typer.Option(help="Rendered pictures; what is lacking is rendered.")],
    out: Annotated[Path, typer.Option(help="Folder for detector.onnx, pose.onnx and the figures.")],
    minutes: Annotated[
        float, typer.Option(min=0.01, help="Computing time, both networks together.")
    ] = 40,
    seeds: Annotated[str, typer.Option(help="Slopes to learn from, FIRST:END.")] = "0:400",
    held_out: Annotated[
        str, typer.Option(help="Slopes to be scored on, FIRST:END.")
    ] = "90000:90040",
    start_from: Annotated[
        Path | None, typer.Option(help="Go on from the weights of this earlier --out folder.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the first weights and the alterations.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Learn where the simulated skier and the joints are in a picture, and export both networks."""
    learn_from, score_on = _spans(seeds, held_out)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    box, pose = _networks(start_from)
    out.mkdir(parents=True, exist_ok=True)
    render(pictures, learn_from)
    render(pictures, score_on)
    material = read_pictures(pictures, learn_from)
    log.info("pictures are read", extra={"pictures": len(material)})
    rng = np.random.default_rng(seed)
    box = _fit_box(box, material, rng, minutes * _BOX_SHARE)
    pose = _fit_pose(pose, material, rng, minutes * (1 - _BOX_SHARE))
    torch.save({"box": box.state_dict(), "pose": pose.state_dict()}, out / "weights.pt")
    export_box(box, out / "detector.onnx")
    export_pose(pose, out / "pose.onnx")
    figures = score(out, list(shots(pictures, score_on)))
    (out / "manifest.json").write_text(json.dumps(_manifest(out, figures), indent=2) + "\n")
    for name, value in figures.items():
        typer.echo(f"{name:<28}{value:g}", err=True)
    if as_json:
        found = {"held_out": figures, "trained_on_pictures": len(material), "out": str(out)}
        typer.echo(json.dumps(found))


def _manifest(out: Path, figures: dict[str, float]) -> dict[str, object]:
    """The manifest of a model bundle: how its networks are fed and read, and their scores."""

    def network(path: Path, outputs: list[str], size_px: list[int]) -> dict[str, object]:
        content = path.read_bytes()
        return {
            "file": path.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "input": "image",
            "outputs": outputs,
            "layout": "NCHW",
            "size_px": size_px,
            "colour": "RGB",
            "dtype": "float32",
            "std": [255.0],
            "batch": "dynamic",
        }

    box = network(out / "detector.onnx", ["centre", "size"], list(BOX_INPUT_PX))
    pose = network(out / "pose.onnx", ["heatmaps"], [POSE_INPUT_PX] * 2)
    return {
        "name": "sim-skier",
        "kind": "person box then crop",
        "joint_set": H36M_16.name,
        "detector": box | {"decoding": "centre-map", "min_confidence": 0.3},
        "pose": pose | {"decoding": "heatmap", "crop_margin": MARGIN} | _PEAKS,
        "licence": "Apache-2.0",
        "source": "made by cvsf train-detector from pictures of this repository's simulated slope",
        "verified": True,
        "held_out": {k: v for k, v in figures.items() if not k.endswith("_ms")},
    }


def _fit_box(
    network: BoxNetwork, material: Pictures, rng: np.random.Generator, minutes: float
) -> BoxNetwork:
    def loss_of(network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        image, centre_cells, size = batch
        assert isinstance(network, BoxNetwork)
        return box_loss(network.logits(image).float(), centre_cells, size)

    fitted = fit(network, box_batches(material, rng, _BOX_BATCH), loss_of, minutes, _BOX_RATE)
    assert isinstance(fitted, BoxNetwork)
    return fitted


def _fit_pose(
    network: PoseNetwork, material: Pictures, rng: np.random.Generator, minutes: float
) -> PoseNetwork:
    def loss_of(network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        image, cells = batch
        assert isinstance(network, PoseNetwork)
        return pose_loss(network.logits(image).float(), cells, _SHARPEN)

    fitted = fit(network, pose_batches(material, rng, _POSE_BATCH), loss_of, minutes, _POSE_RATE)
    assert isinstance(fitted, PoseNetwork)
    return fitted


def _networks(start_from: Path | None) -> tuple[BoxNetwork, PoseNetwork]:
    box, pose = BoxNetwork(), PoseNetwork(len(H36M_16))
    if start_from is not None:
        path = start_from / "weights.pt"
        if not path.is_file():
            raise Refusal(
                f"{path} does not exist, expected the weights an earlier train-detector wrote"
            )
        weights = torch.load(path, weights_only=True)
        box.load_state_dict(weights["box"])
        pose.load_state_dict(weights["pose"])
    return box, pose


def _spans(seeds: str, held_out: str) -> tuple[range, range]:
    """The slopes to learn from and those to be scored on, which share none."""
    learn_from, score_on = _span(seeds, "--seeds"), _span(held_out, "--held-out")
    if set(learn_from) & set(score_on):
        raise Refusal(f"--held-out {held_out} shares slopes with --seeds {seeds}; keep them apart")
    return learn_from, score_on


def _span(text: str, flag: str) -> range:
    first, _, end = text.partition(":")
    if not (first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise Refusal(f"{flag} is {text!r}, expected FIRST:END such as 0:400")
    if int(end) > _SEEDS_END:
        raise Refusal(
            f"{flag} is {text!r}, expected seeds below {_SEEDS_END}: benches draw the others"
        )
    return range(int(first), int(end))

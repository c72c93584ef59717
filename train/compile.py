"""`cvsf compile`: a checkpoint becomes the one ONNX graph the hub runs, with its manifest and
golden vectors.

An engine that does not say what torch says is not written.
"""

import copy
import json
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from onnxscript.optimizer import optimize
from torch import Tensor

from cvsf.agreement import ROUNDS
from cvsf.engine import Engine
from cvsf.fusion import FusedLifter, LiftedViews
from cvsf.manifest import GOLDEN, LIFTER, MANIFEST, Manifest, TensorCard, sha256_of
from cvsf.refusal import Refusal
from cvsf.skeleton import Array, JointSet, joint_set
from train.bare import bare, quietly
from train.checkpoint import WEIGHTS, Checkpoint, read_checkpoint
from train.dataset import MAX_VIEWS

OPSET = 18
PARITY = 1e-5
_NUDGE, _NUDGES, _SETTLED = 1e-6, 16, 1e-4
"""How far, relatively, and how often pixels are moved to see which modes are equally high."""

# a standing body with raised arms, metres, z up, for golden vectors
STANDING = {
    "hip": (0, 0, 0), "rhip": (0, -0.11, 0), "rknee": (0.1, -0.12, -0.41),
    "rankle": (0, -0.13, -0.82),
    "lhip": (0, 0.11, 0), "lknee": (0.05, 0.13, -0.42), "lankle": (-0.05, 0.16, -0.83),
    "spine": (0.02, 0, 0.24), "thorax": (0.05, 0, 0.48), "head": (0.08, 0, 0.75),
    "lshoulder": (0.05, 0.18, 0.46), "lelbow": (0.2, 0.35, 0.35), "lwrist": (0.42, 0.33, 0.45),
    "rshoulder": (0.05, -0.18, 0.46), "relbow": (0.15, -0.38, 0.32), "rwrist": (0.35, -0.42, 0.42),
}  # fmt: skip

_INPUTS = (
    TensorCard(name="keypoints_px", axes=("B", "V", "J", "2"), meaning="x right, y down, pixels"),
    TensorCard(name="confidence", axes=("B", "V", "J"), meaning="0 is not seen"),
    TensorCard(name="image_px", axes=("B", "V", "2"), meaning="width, height; 0 is unknown"),
)
_MEANINGS = {
    "canonical": (
        ("B", "V", "J", "3"),
        "body frame: x forward, y left, z up; pelvis 0; trunk + leg = 1",
    ),
    "view_from_canonical": (("B", "V", "3", "3"), "view: x right, y down, z forward"),
    "refined_px": (("B", "V", "J", "2"), "keypoints after cross-view fusion, pixels"),
    "fused": (("B", "J", "3"), "all views together, body frame, unit scale"),
    "fused_confidence": (("B", "J"), "0 no view believed; rises with every view that agrees"),
}


def compile_(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.pt of a training run")],
    out: Annotated[Path, typer.Option(help="folder of the engine, made here")],
    credit: Annotated[str, typer.Option(help="whose data it learned from, for its manifest")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Compile a trained lifter into the engine the hub runs."""
    manifest = compile_engine(read_checkpoint(checkpoint), out, credit=credit)
    facts = {
        "engine": manifest.id,
        "folder": str(out),
        "sha256": manifest.sha256,
        "parity": manifest.parity,
    }
    typer.echo(
        json.dumps(facts) if as_json else f"{manifest.id} in {out}, parity {manifest.parity:.1e}"
    )


def compile_engine(
    checkpoint: Checkpoint, out: Path, rounds: int = ROUNDS, credit: str = ""
) -> Manifest:
    """Write graph, weights, golden vectors and manifest; Refusal if ONNX Runtime disagrees."""
    joints = joint_set(checkpoint.joint_set)
    if (frames := checkpoint.lifter().shape.frames) > 1:
        raise Refusal(
            f"the checkpoint lifts windows of {frames} frames, expected one of single frames; "
            "engines see one instant at a time, train with frames 1"
        )
    graph = FusedLifter(checkpoint.lifter(), joints, rounds, checkpoint.morphing()).eval()
    golden = [golden_sample(views, joints, views) for views in (1, 2, 3, 4, 6)]
    if out.exists() and not out.is_dir():
        raise Refusal(f"{out} is a file, expected a folder for the engine; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        draft = Path(scratch)
        _export(graph, golden[3], draft / LIFTER)
        manifest = _card(checkpoint, draft / LIFTER, credit)
        manifest.write(draft)
        engine = Engine(draft, manifest, threads=1)
        parity = max(disagreement(engine, graph, sample) for sample in golden)
        if parity > PARITY:
            raise Refusal(
                f"ONNX Runtime differs from torch by {parity:.1e} relative, "
                f"expected at most {PARITY:.0e}; "
                "the engine was not written, check the versions of torch and onnxruntime"
            )
        manifest = manifest.model_copy(update={"parity": parity, "golden": GOLDEN})
        manifest.write(draft)
        _write_golden(engine, golden[3], draft / GOLDEN)
        replace(checkpoint.slim(), engine=manifest.id).write(draft / WEIGHTS)
        # the manifest last: it vouches for the others
        for name in (LIFTER, GOLDEN, WEIGHTS, MANIFEST):
            (draft / name).replace(out / name)
    return manifest


def _export(graph: FusedLifter, sample: dict[str, Tensor], path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=4096)
    views = torch.export.Dim("views", min=1, max=MAX_VIEWS)
    doubled = {name: torch.cat([tensor, tensor]) for name, tensor in sample.items()}
    with quietly():
        program = torch.onnx.export(
            graph,
            kwargs=doubled,
            dynamic_shapes={name: {0: batch, 1: views} for name in doubled},
            input_names=list(doubled),
            output_names=list(LiftedViews._fields),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            optimize=False,
        )
    assert program is not None
    # one pass without shape inference finds nearly all there is to find, in a tenth of the time
    optimize(program.model, num_iterations=1, onnx_shape_inference=False)
    path.write_bytes(bare(program.model_proto))


def golden_sample(views: int, joints: JointSet, seed: int) -> dict[str, Tensor]:
    """A plausible instant: a body with raised arms and one hidden joint before `views` perspective
    cameras.
    """
    random = np.random.default_rng(seed)
    body = np.array([STANDING[joint] for joint in joints.joints]) + random.normal(
        0, 0.05, (len(joints), 3)
    )
    keypoints = np.empty((1, views, len(joints), 2))
    for view in range(views):
        azimuth = 2 * np.pi * view / max(views, 2) + random.normal(0, 0.2)
        c, s = np.cos(azimuth), np.sin(azimuth)
        local = body @ np.array([[c, s, 0], [0, 0, -1], [-s, c, 0]]).T + [
            *random.normal(0, 0.5, 2),
            7.0,
        ]
        keypoints[0, view] = 1300 * local[:, :2] / local[:, 2:] + [960, 540]
    keypoints += random.normal(0, 3, keypoints.shape)
    confidence = random.uniform(0.5, 1, (1, views, len(joints)))
    confidence[0, -1, -1] = 0  # a joint nobody found there
    confidence[0, 1:2] *= views < 5  # and, in the largest, a view without the person
    image = np.broadcast_to([1920.0, 1080.0], (1, views, 2))
    arrays = {"keypoints_px": keypoints, "confidence": confidence, "image_px": image}
    return {name: torch.tensor(array.copy(), dtype=torch.float32) for name, array in arrays.items()}


def disagreement(engine: Engine, graph: FusedLifter, sample: dict[str, Tensor]) -> float:
    """Largest difference of any output to torch, relative to that output's largest value.

    Where views leave a joint open, rounding itself grows past the limit; there the engine has to be
    as near to torch in double precision as twice what torch in single precision is. Eq. 2 is an
    argmax: where two modes are as high as rounding can tell, torch itself goes from one to the
    other when pixels move by no more than that, and the engine may take either.
    """
    found = engine.lift_many(**{name: tensor.numpy() for name, tensor in sample.items()})
    double = _outputs(copy.deepcopy(graph).double(), _nudged(sample, 0))
    singles = [_outputs(graph, sample)]
    singles += [_outputs(graph, _nudged(sample, seed, torch.float32)) for seed in range(1, _NUDGES)]
    worst = 0.0
    for name, exact in double.items():
        size = max(1e-9, float(exact.abs().max()))
        ours = torch.from_numpy(found[name])
        said = torch.stack([exact.float(), *(single[name] for single in singles)])
        settled = (said.amax(0) - said.amin(0)).amax(-1, keepdim=True) <= _SETTLED * size
        if name != "refined_px" or settled.float().mean() <= 0.5:
            settled = torch.ones_like(settled)  # nothing else is an argmax, and most of it is not
        rounding, error = (
            float((a - exact).abs().max()) / size for a in (singles[0][name], ours.double())
        )
        apart = float(((ours - singles[0][name]).abs() * settled).max()) / size
        worst = max(worst, 0.0 if apart > PARITY and error <= 2 * rounding else apart)
    return worst


def _nudged(
    sample: dict[str, Tensor], seed: int, kind: torch.dtype = torch.float64
) -> dict[str, Tensor]:
    """The sample with pixels moved by what rounding may move them; by nothing for seed 0."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(sample["keypoints_px"].shape, generator=random) * bool(seed)
    pixels = sample["keypoints_px"] * (1 + _NUDGE * noise)
    return {name: tensor.to(kind) for name, tensor in (sample | {"keypoints_px": pixels}).items()}


def _outputs(graph: FusedLifter, sample: dict[str, Tensor]) -> dict[str, Tensor]:
    with torch.no_grad():
        return dict(graph(**sample)._asdict())


def _write_golden(engine: Engine, sample: dict[str, Tensor], path: Path) -> None:
    arrays: dict[str, Array] = {name: tensor.numpy() for name, tensor in sample.items()}
    arrays |= engine.lift_many(**arrays)
    np.savez(path, allow_pickle=False, **arrays)


def _card(checkpoint: Checkpoint, onnx: Path, credit: str) -> Manifest:
    now = datetime.now(UTC)
    sha256 = sha256_of(onnx)
    outputs = (
        TensorCard(name=name, axes=axes, meaning=meaning)
        for name, (axes, meaning) in _MEANINGS.items()
    )
    return Manifest(
        id=f"{checkpoint.variant}-{now:%Y%m%dT%H%M%SZ}-{sha256[:8]}",
        created=now.isoformat(timespec="seconds"),
        git_sha=_git_sha(),
        variant=checkpoint.variant,
        joint_set=checkpoint.joint_set,
        max_views=MAX_VIEWS,
        morph=checkpoint.morph is not None,
        inputs=_INPUTS,
        outputs=tuple(outputs),
        opset=OPSET,
        sha256=sha256,
        parity=0.0,  # until it is measured
        scores=checkpoint.scores,
        sessions=checkpoint.sessions,
        parent=checkpoint.parent,
        credit=credit,
    )


def _git_sha() -> str | None:
    """Of the code that compiled it, where that is a checkout."""
    here = Path(__file__).parent
    command: list[Any] = ["git", "-C", here, "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return found.stdout.strip() or None

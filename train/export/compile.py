"""`cvsf compile`: a checkpoint becomes the one ONNX graph the hub runs, with its manifest and
golden vectors.

An engine whose outputs differ from torch's is not written. In the graph of half precision only the
lifter's (and the morph's) matrix products, the sums and the rectifiers between them are so:
that costs 0.09 mm of a view's pose and 0.005 mm of the fused one on four views. Normalisation,
layer norms, rotations, agreement and Eq. 2 stay float32: they square pixels, divide by differences
and choose the highest of modes.
"""

import json
import logging
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from onnxscript.optimizer import optimize
from torch import Tensor

from cvsf.engine.engine import SHIPPED, Engine, check_golden
from cvsf.engine.manifest import (
    GOLDEN,
    LIFTER,
    LIFTER_FP16,
    LIMITS,
    MANIFEST,
    Difference,
    Manifest,
    Precision,
    TensorCard,
    read_manifest,
    sha256_of,
    verified_file,
)
from cvsf.engine.mixed_precision import in_mixed_precision
from cvsf.messages import MAX_VIEWS
from cvsf.model.fusion import FusedLifter, LiftedViews
from cvsf.model.weak_perspective_ba import ROUNDS
from cvsf.registry.registry import LIVE
from cvsf.skeleton import joint_set
from cvsf.system.errors import Refusal
from train.batches.probe_inputs import GOLDEN_VIEWS, golden_sample
from train.checkpoint import WEIGHTS, Checkpoint, read_checkpoint
from train.export.onnx_cleanup import bare, quietly
from train.export.parity import Comparison, Torch, write_golden
from train.export.weight_transfer import refitted

log = logging.getLogger(__name__)

OPSET = 18
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
    complete: Annotated[
        bool, typer.Option(help="keep id and graph of the engine there, add what it lacks")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Compile a trained lifter into the engine the hub runs."""
    run = read_checkpoint(checkpoint)
    manifest = complete_engine(run, out) if complete else compile_engine(run, out, credit=credit)
    facts = {
        "engine": manifest.id,
        "folder": str(out),
        "sha256": manifest.sha256,
        "sha256_fp16": manifest.sha256_fp16,
        "parity": manifest.parity,
        "differences": {k: v.model_dump() for k, v in manifest.differences.items()},
    }
    differences = (
        f"{k} {v.relative:.1e} {v.n_mpjpe_mm:.2g} mm" for k, v in manifest.differences.items()
    )
    summary = f"{manifest.id} in {out}, differs from torch by {', '.join(differences)}"
    typer.echo(json.dumps(facts) if as_json else summary)


def compile_engine(
    checkpoint: Checkpoint,
    out: Path,
    rounds: int = ROUNDS,
    credit: str = "",
    like: Path | None = SHIPPED,
) -> Manifest:
    """Write graphs, weights, golden vectors and manifest to `out`, in place of those there; the
    manifest, which is written last. Refusal, with nothing written, if ONNX Runtime disagrees with
    torch, the lifter is of windows, or `out` is a file or lies in a registry.

    The graph of an engine that is `like` it is refilled instead of exported again, where that is
    possible and the result's outputs are torch's. `rounds` is how often fusion adjusts cameras and
    body.
    """
    graph = _graph(checkpoint, rounds)
    if (out.absolute().parent / LIVE).is_symlink():
        raise Refusal(
            f"{out} lies among the engines of an installation, which are never changed; give "
            "another --out, then `cvsf models add` takes it in"
        )
    if out.exists() and not out.is_dir():
        raise Refusal(f"{out} is a file, expected a folder for the engine; give another --out")
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=out) as scratch:
            draft, views = Path(scratch), GOLDEN_VIEWS
            manifest = _refilled(graph, draft, checkpoint, credit, like)
            if manifest is None:
                _export(graph, golden_sample(views, graph.joint_set, views), draft / LIFTER)
                manifest = _proven(graph, draft, _card(checkpoint, draft / LIFTER, credit))
            replace(checkpoint.slim(), engine=manifest.id).write(draft / WEIGHTS)
            _put(draft, out, (LIFTER, LIFTER_FP16, GOLDEN, WEIGHTS, MANIFEST))
    except BaseException:
        if is_new:
            shutil.rmtree(out)
        raise
    return manifest


def _refilled(
    graph: FusedLifter, draft: Path, checkpoint: Checkpoint, credit: str, like: Path | None
) -> Manifest | None:
    """The manifest of another engine's graph with these weights, compared with torch; None if there
    can be none.
    """
    refilled = refitted(like, checkpoint) if like else None
    if refilled is None:
        return None
    (draft / LIFTER).write_bytes(refilled)
    try:
        return _proven(graph, draft, _card(checkpoint, draft / LIFTER, credit))
    except Refusal as refusal:
        log.info("graph is exported again", extra={"reason": str(refusal)})
        return None


def complete_engine(checkpoint: Checkpoint, folder: Path, rounds: int = ROUNDS) -> Manifest:
    """Write what an earlier engine lacks beside its graph: half precision, golden vectors,
    manifest; the new manifest. Graph and id stay. Refusal, with nothing written, if the checkpoint
    and the graph differ, or the graph's file is damaged.
    """
    graph, manifest = _graph(checkpoint, rounds), read_manifest(folder)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        draft = Path(scratch)
        shutil.copyfile(verified_file(folder, manifest), draft / LIFTER)
        manifest = _proven(graph, draft, manifest)
        _put(draft, folder, (LIFTER_FP16, GOLDEN, MANIFEST))
    return manifest


def _graph(checkpoint: Checkpoint, rounds: int) -> FusedLifter:
    if (frames := checkpoint.lifter().shape.frames) > 1:
        raise Refusal(
            f"the checkpoint lifts windows of {frames} frames, expected one of single frames; "
            "engines see one instant at a time, train with frames 1"
        )
    joints = joint_set(checkpoint.joint_set)
    return FusedLifter(checkpoint.lifter(), joints, rounds, checkpoint.morphing()).eval()


def _proven(graph: FusedLifter, draft: Path, manifest: Manifest) -> Manifest:
    """The manifest of the graph in the draft, written beside it with the half graph and the golden
    vectors, once ONNX Runtime's outputs are torch's.
    """
    (draft / LIFTER_FP16).write_bytes(in_mixed_precision(draft / LIFTER))
    known = Torch(graph)
    write_golden(known, draft / GOLDEN)
    facts: dict[str, Any] = {
        "format": 2,
        "sha256_fp16": sha256_of(draft / LIFTER_FP16),
        "golden": GOLDEN,
        "golden_sha256": sha256_of(draft / GOLDEN),
    }
    manifest = manifest.model_copy(update=facts)
    exam, found = Comparison(known), {}
    for precision in manifest.precisions:
        engine = Engine(draft, manifest, precision=precision)
        found[precision] = exam.worst(engine)
        require_parity(found[precision], precision)
        check_golden(engine, draft)
    facts = {"parity": found["fp32"].relative, "differences": found}
    manifest = manifest.model_copy(update=facts)
    manifest.write(draft)
    return manifest


def require_parity(found: Difference, precision: Precision) -> None:
    """Refusal if an engine differs more from torch than its precision permits: the relative
    difference, or N-MPJPE in mm. A difference that is NaN is refused too.
    """
    limit = LIMITS[precision]
    if found.relative <= limit.relative and found.n_mpjpe_mm <= limit.n_mpjpe_mm:
        return
    raise Refusal(
        f"ONNX Runtime in {precision} differs from torch by {found.relative:.1e} relative and "
        f"{found.n_mpjpe_mm:.2g} mm, expected at most {limit.relative:.0e} and "
        f"{limit.n_mpjpe_mm:g} mm; the engine was not written, check the versions of torch and "
        "onnxruntime"
    )


def _put(draft: Path, out: Path, names: tuple[str, ...]) -> None:
    """Bring the files to where they belong; the manifest comes last, it vouches for the others."""
    for name in names:
        with (draft / name).open("rb") as file:
            os.fsync(file.fileno())
    for name in names:
        (draft / name).replace(out / name)


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

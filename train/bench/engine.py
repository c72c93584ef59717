"""`cvsf bench engine`: the shipped lifter, compiled, against torch eager, on all that is here.

One thread, all in turns in one process: ratios by the time its thread had on the processor, p99 by
the clock on the wall, which is what an instant waits. What did not run is named with the reason.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from cvsf.engine.engine import SHIPPED, Engine, choose, open_tensorrt
from cvsf.engine.manifest import Manifest, read_manifest, verified_file
from cvsf.engine.onnx_backend import OnnxSession, has_cuda
from cvsf.model.fusion import FusedLifter
from cvsf.skeleton import Array, joint_set
from cvsf.system.errors import Refusal
from train.batches.probe_inputs import golden_sample
from train.checkpoint import read_checkpoint
from train.export.parity import Comparison, Torch

EAGER, CPU = "torch eager", "onnxruntime cpu"
VIEWS = 4
ROWS = (4, 16, 64)
_WARM_UP = 5
_MANY_VIEWS = "16 views"
"""One instant of as many, beside the instants of four views that rows are made of."""

Run = Callable[[dict[str, Array]], object]


def bench_engine(
    repeats: Annotated[int, typer.Option(help="Times each is timed.", min=10)] = 200,
    plans: Annotated[
        Path | None, typer.Option(help="Folder of TensorRT plans; none are kept without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Time the shipped lifter on every backend of this machine, and compare it with torch."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        engines, not_run = backends(plans or Path(scratch))
        result = timed(engines, repeats)
    result |= {"repeats": repeats, "threads": 1, "views": VIEWS, "not_run": not_run}
    if as_json:
        typer.echo(json.dumps(result))
    else:
        _show(result)


def backends(plans: Path) -> tuple[dict[str, Engine], dict[str, str]]:
    """The engines of the shipped lifter by who runs them, ONNX Runtime on the CPU always, and why
    others do not run here. TensorRT plans are read from `plans` or made there, which takes long.
    """
    manifest = read_manifest(SHIPPED)
    engines, not_run = {CPU: _on_onnxruntime(manifest, gpu=False)}, {}
    cuda = _on_onnxruntime(manifest, gpu=True) if has_cuda() else None
    if cuda is None:
        not_run["onnxruntime cuda"] = "this onnxruntime was built without its CUDA provider"
    elif cuda.backend == CPU:
        not_run["onnxruntime cuda"] = "the CUDA provider did not start"
    else:
        engines[cuda.backend] = cuda
    for precision in manifest.precisions:
        try:
            choose("tensorrt")
            engine = open_tensorrt(SHIPPED, plans, precision=precision)
            engines[engine.backend] = engine
        except Refusal as refusal:
            not_run[f"tensorrt {precision}"] = str(refusal)
    return engines, not_run


def timed(engines: dict[str, Engine], repeats: int) -> dict[str, Any]:
    """Ratios of computing time of torch to ONNX Runtime on the CPU, which must be among the
    engines: above 1 if torch is slower. Also percentiles in ms on the wall clock and differences to
    torch, by engine; all are timed in turns with torch. The caller must have limited torch to one
    thread.
    """
    graph = FusedLifter(
        read_checkpoint(SHIPPED).lifter(), joint_set(engines[CPU].manifest.joint_set)
    ).eval()
    runs: dict[str, Run] = {EAGER: _eager(graph)}
    runs |= {name: _lifting(engine) for name, engine in engines.items()}
    ratios: dict[str, float] = {}
    p99: dict[str, dict[str, float]] = {name: {} for name in runs}
    p50: dict[str, dict[str, float]] = {name: {} for name in runs}
    for size, fed in _sizes(graph):
        own, wall = _times(runs, fed, repeats)
        ratios[size] = median(own[EAGER]) / median(own[CPU])
        for name, seconds in wall.items():
            p99[name][size] = 1e3 * float(np.percentile(seconds, 99))
            p50[name][size] = 1e3 * median(seconds)
    exam = Comparison(Torch(graph))
    parity = {name: exam.worst(engine).model_dump() for name, engine in engines.items()}
    many = ratios.pop(_MANY_VIEWS)
    return {
        "onnxruntime_over_eager": ratios,
        "onnxruntime_over_eager_16_views": many,
        "p99_ms": p99,
        "p50_ms": p50,
        "parity": parity,
    }


def _sizes(graph: FusedLifter) -> Iterator[tuple[str, dict[str, Array]]]:
    """Each size's name and the instants of it."""
    for rows in ROWS:
        instants = [golden_sample(VIEWS, graph.joint_set, seed) for seed in range(rows // VIEWS)]
        together = {name: torch.cat([each[name] for each in instants]) for name in instants[0]}
        yield str(rows), {name: tensor.numpy() for name, tensor in together.items()}
    sample = golden_sample(16, graph.joint_set, 0)
    yield _MANY_VIEWS, {name: tensor.numpy() for name, tensor in sample.items()}


def _times(
    runs: dict[str, Run], fed: dict[str, Array], repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each run by the thread's own clock and by the one on the wall."""
    own: dict[str, list[float]] = {name: [] for name in runs}
    wall: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(_WARM_UP + repeats):
        for name, run in runs.items():
            began, began_own = time.perf_counter(), time.thread_time()
            run(fed)
            took_own, took = time.thread_time() - began_own, time.perf_counter() - began
            if turn >= _WARM_UP:
                own[name].append(took_own)
                wall[name].append(took)
    return own, wall


def _eager(graph: FusedLifter) -> Run:
    def run(fed: dict[str, Array]) -> object:
        with torch.inference_mode():
            lifted = graph(**{name: torch.from_numpy(array) for name, array in fed.items()})
            return [tensor.numpy() for tensor in lifted]

    return run


def _lifting(engine: Engine) -> Run:
    return lambda fed: engine.lift_many(**fed)


def _on_onnxruntime(manifest: Manifest, *, gpu: bool) -> Engine:
    outputs = [card.name for card in manifest.outputs]
    session = OnnxSession(verified_file(SHIPPED, manifest), outputs, 1, gpu=gpu)
    return Engine(SHIPPED, manifest, session=session)


def _show(result: dict[str, Any]) -> None:
    sizes = [*(f"{rows}" for rows in ROWS), _MANY_VIEWS]
    table = Table(title="p99, ms, of view-poses at four views, and of one instant of 16 views")
    for column in ("", *sizes, "differs from torch"):
        table.add_column(column, justify="right")
    for name, row in result["p99_ms"].items():
        apart = result["parity"].get(name)
        difference = f"{apart['relative']:.1e}, {apart['n_mpjpe_mm']:.2g} mm" if apart else ""
        table.add_row(name, *(f"{row[size]:.2f}" for size in sizes), difference)
    ratios = result["onnxruntime_over_eager"] | {
        _MANY_VIEWS: result["onnxruntime_over_eager_16_views"]
    }
    table.add_row("eager over ONNX Runtime", *(f"{ratios[size]:.2f}" for size in sizes), "")
    for name, why in result["not_run"].items():
        table.add_row(name, "not run", "", "", "", why)
    Console().print(table)

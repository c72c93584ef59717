"""`cvsf bench fusion`: what fusing the views costs in training, over what the lifter itself costs.

It times the functions that training calls, in turns in one process; on a processor by the time its
one thread had there, so that what else the machine does counts as little as it can.
"""

import json
import time
from collections.abc import Callable
from statistics import median
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from cvsf.model.geometry import rotation_about
from cvsf.model.losses import BASELINE, STAGE2, StageWeights
from cvsf.skeleton import H36M_16
from train.batches.batch import Batch
from train.config import TrainConfig, training_config
from train.loop.objectives import Objective
from train.loop.optimise import Run, start

ROUNDS = TrainConfig().agreement_rounds
"""Of finding cameras and body before Eq. 2: as training does by default, not the paper's none."""
_VIEWS, _WARM_UP = 4, 3
_MANY_INSTANTS = 16384  # fill a GPU


def bench_fusion(
    instants: Annotated[int, typer.Option(help="Instants in a batch.", min=1)] = 64,
    repeats: Annotated[int, typer.Option(help="Times each piece is timed.", min=1)] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure fusion and a stage-2 step against the lifter's own, four views, one thread."""
    torch.set_num_threads(1)
    result = on_one_thread(instants, repeats)
    if torch.cuda.is_available():
        result |= on_gpu(repeats)
    if as_json:
        typer.echo(json.dumps(result))
        return
    table = Table(title=f"{instants} instants of {_VIEWS} views, {len(H36M_16)} joints")
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in result.items():
        table.add_row(name.replace("_", " "), f"{value:.4g}")
    Console().print(table)


def on_one_thread(instants: int, repeats: int) -> dict[str, Any]:
    """The ratios of computing times of this thread, and the times, in ms, of batches of four views;
    medians of `repeats`. The caller must have limited torch to one thread.
    """
    pieces = _pieces(_paper("float32"), torch.device("cpu"), instants)
    ms = _milliseconds(pieces, repeats, time.thread_time)
    return {
        "fusion_over_lifter_step": ms["fusion"] / ms["lifter_step"],
        "stage2_step_over_lift_step": ms["stage2_step"] / ms["lift_step"],
        **{f"{name}_ms": value for name, value in ms.items()},
    }


def on_gpu(repeats: int) -> dict[str, Any]:
    """Views a second through stage-2 steps in bfloat16, and fusion's share of such a step; medians
    of `repeats` batches of 16,384 instants. A CUDA GPU must be there.
    """
    pieces = _pieces(_paper("bfloat16"), torch.device("cuda"), _MANY_INSTANTS)
    ms = _milliseconds(pieces, repeats, _finished)
    return {
        "samples_per_s": 1e3 * _MANY_INSTANTS * _VIEWS / ms["stage2_step"],
        "gpu_fusion_over_stage2_step": ms["fusion"] / ms["stage2_step"],
    }


def _paper(precision: str) -> TrainConfig:
    """The network of the paper, in eager mode."""
    changed = {"agreement_rounds": ROUNDS, "precision": precision, "compiled": False}
    return training_config("paper", "s1s2").model_copy(update=changed)


def _pieces(
    config: TrainConfig, device: torch.device, instants: int
) -> dict[str, Callable[[], object]]:
    """What is timed, by name: all that lies between lifting and refined 2D poses; the lifter's
    forward and backward pass; a step on Eq. 3 alone; and one of stage 2 on Eq. 7.
    """
    run = start(config, H36M_16, seed=0, device=device)
    objective = Objective(run.lifter, H36M_16, config)
    sample = _seen(instants).each(lambda part: part.to(device))
    with torch.no_grad():
        canonical, rotation = run.lifter(sample.plane, sample.confidence)

    @torch.no_grad()
    def fusion() -> object:
        return objective.fusion.refined_plane(canonical, rotation, sample.plane, sample.confidence)

    def lifter_step() -> None:
        run.optimiser.zero_grad(set_to_none=True)
        pose, turn = run.lifter(sample.plane, sample.confidence)
        _backward(pose.sum() + turn.sum())

    return {
        "fusion": fusion,
        "lifter_step": lifter_step,
        "lift_step": lambda: _step(run, objective, sample, BASELINE),
        "stage2_step": lambda: _step(run, objective, sample, STAGE2),
    }


def _step(run: Run, objective: Objective, sample: Batch, weights: StageWeights) -> None:
    run.optimiser.zero_grad(set_to_none=True)
    _backward(objective(sample, weights))
    run.optimiser.step()


def _backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def _milliseconds(
    pieces: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """The median time of each piece, all of them in turns."""
    times: dict[str, list[float]] = {name: [] for name in pieces}
    for turn in range(_WARM_UP + repeats):
        for name, piece in pieces.items():
            began = clock()
            piece()
            took_s = clock() - began
            if turn >= _WARM_UP:
                times[name].append(took_s * 1e3)
    return {name: median(row) for name, row in times.items()}


def _finished() -> float:
    """The clock once the GPU has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def _seen(instants: int) -> Batch:
    """Made-up bodies before level cameras all around, some joints badly found."""
    random = torch.Generator().manual_seed(0)
    bodies = 0.3 * torch.randn(instants, 1, len(H36M_16), 3, generator=random)
    azimuth = 6.3 * torch.rand(instants, _VIEWS, generator=random)
    plane = (bodies @ rotation_about(1, azimuth).mT)[..., :2]
    plane = plane + 0.01 * torch.randn(plane.shape, generator=random)
    confidence = torch.rand(plane.shape[:-1], generator=random)
    return Batch(plane, confidence, confidence)

"""One run: one seed of one variant from its start, or its last checkpoint, to its scores.

A folder holds all of it: configuration, curves, metrics, checkpoint.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from cvsf.model.fusion import FusedLifter
from cvsf.model.keypoint_adapter import Morph
from cvsf.model.lifter import Lifter
from cvsf.skeleton import H36M_16, Array
from cvsf.system.errors import Refusal
from train.batches.batch import Draw, batch_of, from_bodies, from_store
from train.batches.novel_views import from_pseudo_labels
from train.batches.rehearsal import with_rehearsal
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.data.instants import Recordings
from train.data.memmap_store import Store
from train.data.temporal_windows import WindowedFusion
from train.distributed import ProcessGroup
from train.evaluation.score_lifter import Lift, score
from train.loop.curves import draw_curves
from train.loop.depth_reflection import without_reflection
from train.loop.optimise import Run, optimise, resume, start
from train.loop.preflight import CHECKPOINT, check_same

log = logging.getLogger(__name__)

CONFIG, METRICS, CURVES = "config.json", "metrics.json", "curves.png"
_STRETCH = 40
"""Successive instants of a validation stretch of windows; a guess, not measured."""
_REFLECTION_INSTANTS = 2000
"""Instants whose poses show whether a lifter mirrors depth; a guess, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all seeds of a command share."""

    config: TrainConfig
    learned: Store
    kept_back: Recordings | None  # in the process that reports
    minutes: float | None
    parent: Checkpoint | None
    morph: Morph | None = None
    again: bool  # continue an existing run
    group: ProcessGroup
    stop: threading.Event


def train_seed(task: Task, seed: int, out: Path) -> dict[str, Any]:
    """Train and score one seed, from its checkpoint in `out` if there is one; the scores, or an
    empty map in a process other than rank 0. Rank 0 writes configuration, checkpoint, curves and
    metrics to `out`. All processes must call it; it blocks.

    Refusal if the checkpoint is of another configuration, recordings or morph, if the loss is not
    finite, or, after writing a checkpoint, if stopped before the end; then SystemExit in the other
    processes.
    """
    path, config, group = out / CHECKPOINT, task.config, task.group
    if path.exists():
        run = resume(config, H36M_16, _same(path, task), group.device)
    else:
        run = start(config, H36M_16, seed, task.parent, group.device)
    if group.is_rank_0:
        out.mkdir(parents=True, exist_ok=True)
        (out / CONFIG).write_text(config.model_dump_json(indent=2) + "\n")
    with _validated(run, task, path) as on_step:
        draw = _draw(run, task)
        done = optimise(run, draw, task.minutes, on_step, group=group, stop=task.stop)
    if not group.is_rank_0:
        if not done:
            raise SystemExit(2)  # rank 0 reports why
        return {}
    _checkpoint(run, task).write(path)
    if not done:
        raise Refusal(f"stopped at step {run.step} of {run.steps}; go on with --resume")
    return _finish(run, task, out)


def _finish(run: Run, task: Task, out: Path) -> dict[str, Any]:
    """The finished run's checkpoint, curves and scores."""
    assert task.kept_back is not None
    lifter = _lifter(run, task)
    scores = _scores(lifter, task, task.kept_back)
    scores |= {"steps": run.step, "computing_s": run.spent_s}
    named: dict[str, dict[str, float]] = {
        row: scores[row] for row in ("one_view", "one_view_refined", "fused") if row in scores
    }
    finished = _checkpoint(run, task)
    replace(finished, scores=named, weights=lifter.state_dict()).write(out / CHECKPOINT)
    title = f"{run.config.variant}, seed {run.seed}"
    draw_curves(run.curve, out / CURVES, title, run.stage2_step)
    (out / METRICS).write_text(json.dumps(scores, indent=2) + "\n")
    return scores


def _checkpoint(run: Run, task: Task) -> Checkpoint:
    rest = run.checkpoint(task.learned.sessions, task.parent)
    morph = task.morph.to_plain() if task.morph else None
    return replace(rest, morph=morph, sha256=task.learned.sha256)


def _same(path: Path, task: Task) -> Checkpoint:
    found = check_same(path, task.config)
    inherited = task.parent.sessions if task.parent else ()
    same = found.sha256 == task.learned.sha256
    if not same or set(found.sessions) != {*inherited, *task.learned.sessions}:
        raise Refusal(
            f"{path} learned from other recordings; give the same, or another --out, and with "
            "--parent its weights to start from"
        )
    if not _alike(found.morphing(), task.morph):
        raise Refusal(f"{path} was trained with another --morph; give that one or another --out")
    return found


def _alike(a: Morph | None, b: Morph | None) -> bool:
    if a is None or b is None:
        return a is b
    theirs = b.state_dict()
    return a.shape == b.shape and all(torch.equal(t, theirs[n]) for n, t in a.state_dict().items())


def _draw(run: Run, task: Task) -> Draw:
    draw, random = _recorded(run, task), run.generators["batches"]
    if task.parent is None or not run.config.rehearsal_weight:
        return draw
    return with_rehearsal(draw, task.learned, task.parent, run.config, random, task.group)


def _recorded(run: Run, task: Task) -> Draw:
    random = run.generators["batches"]
    if run.config.variant == "stage3":
        return from_pseudo_labels(task.learned, run.config, random, task.group)
    if run.config.bodies == "virtual":  # their 2D is not a detector's
        return from_bodies(task.learned, run.config, random, task.group)
    return from_store(task.learned, run.config, random, task.group, task.morph)


@contextmanager
def _validated(run: Run, task: Task, path: Path) -> Iterator[Callable[[float], None]]:
    """What is called with the loss of every step: it moves a progress bar, and `checks` times a run
    scores kept-back instants and writes a checkpoint.
    """
    if not task.group.is_rank_0 or task.kept_back is None:
        yield lambda loss: None
        return
    validation = task.kept_back.take(_validation_rows(len(task.kept_back), run.config))
    with _progress_bar() as bar:
        row = bar.add_task(f"{run.config.variant} seed {run.seed}", total=1.0, stage=1, loss=0.0)
        smooth = [0.0, 0.0]  # sums of losses and their weights, the last fifty or so

        def on_step(loss: float) -> None:
            smooth[:] = 0.98 * smooth[0] + loss, 0.98 * smooth[1] + 1
            mean = smooth[0] / smooth[1]
            bar.update(row, completed=run.progress, stage=run.stage, loss=mean)
            run.noted += loss
            checks = run.config.checks * run.step // run.steps
            if checks > run.config.checks * (run.step - 1) // run.steps:
                since = run.curve[-1]["step"] if run.curve else 0
                point = {"step": run.step, "loss": run.noted / (run.step - since)}
                run.noted = 0.0
                run.curve.append(point | {"stage": run.stage} | _validation(run, task, validation))
                _checkpoint(run, task).write(path)

        yield on_step


def _validation_rows(count: int, config: TrainConfig) -> npt.NDArray[np.int64]:
    """Some instants evenly spread; of windows, stretches of a few seconds."""
    at_once = 1 if config.frames == 1 else _STRETCH
    begins = np.linspace(0, max(count - at_once, 0), max(1, config.check_instants // at_once))
    rows = begins.astype(np.int64)[:, None] + np.arange(at_once)
    return np.unique(rows.clip(0, count - 1))


def _validation(run: Run, task: Task, observations: Recordings) -> dict[str, float]:
    """The metrics of the lifter as it is now; one-view and fused errors where there is a truth."""
    lifter = _lifter(run, task)
    facts = _scores(lifter, task, observations)
    names = [name for name in ("one_view", "fused") if name in facts]
    metrics: dict[str, float] = {name: facts[name]["n_mpjpe_mm"] for name in names}
    metrics.update({name: v for name, v in facts["without_truth"].items() if v is not None})
    return metrics


def _scores(lifter: Lifter, task: Task, observations: Recordings) -> dict[str, Any]:
    lift, again = lift_with(lifter, task.morph), lift_with(lifter)
    return score(lift, observations, again, lifter.shape.frames)


def _lifter(run: Run, task: Task) -> Lifter:
    """The lifter as it is now, on the CPU, and no mirror image."""
    lifter = Lifter(run.lifter.shape)
    lifter.load_state_dict(run.lifter.state_dict())
    if run.config.variant in ("stage3", "supervised"):  # a body in space is no mirror image
        return lifter.eval()
    learned = task.learned
    count = min(len(learned), _REFLECTION_INSTANTS)
    rows = np.linspace(0, len(learned) - 1, count).astype(np.int64)
    batch = batch_of(learned.rows(rows), labelled=False, morph=task.morph)
    return without_reflection(lifter, batch, H36M_16)


def lift_with(lifter: Lifter, morph: Morph | None = None) -> Lift:
    """The complete graph in torch, behind the morph if one is given, as a function of arrays
    keypoints_px, confidence and image_px that gives the engine's outputs by name. The lifter is put
    in evaluation mode and not copied; it must be on the CPU. A lifter of windows needs keypoints
    with their windows.
    """
    whole = FusedLifter if lifter.shape.frames == 1 else WindowedFusion
    graph = whole(lifter.eval(), H36M_16, morph=morph)

    def lift(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        inputs: list[Tensor] = [
            torch.from_numpy(np.array(a, np.float32)) for a in (keypoints_px, confidence, image_px)
        ]
        with torch.no_grad():
            outputs = graph(*inputs)
        return {name: tensor.numpy() for name, tensor in outputs._asdict().items()}

    return lift


def _progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% stage {task.fields[stage]}"),
        TextColumn("loss {task.fields[loss]:.3g}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

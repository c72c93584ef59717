"""`cvsf train`: recordings in, a lifter out, with its curves, its scores on subjects kept back and
a checkpoint to go on from.

Label-free variants see 2D and confidences only; a truth in the file is used to report, never to
learn.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from cvsf.fusion import FusedLifter
from cvsf.lifter import Lifter
from cvsf.refusal import Refusal
from cvsf.skeleton import H36M_16, Array
from train.checkpoint import Checkpoint, read_checkpoint
from train.config import TrainConfig, Variant
from train.curves import draw_curves
from train.dataset import Instants, read_instants
from train.learn import Descent, Objective, descend, resume, start
from train.objectives import depth_sign, from_bodies, from_views, lifted_sample, seen_by_cameras
from train.score3d import Lift, score

CHECKPOINT, CONFIG, METRICS, CURVES = "checkpoint.pt", "config.json", "metrics.json", "curves.png"


def train(
    paths: Annotated[list[Path], typer.Argument(help="multi-view .npz files or session folders")],
    out: Annotated[Path, typer.Option(help="folder of the run")],
    variant: Annotated[str, typer.Option(help="baseline, s1, s1s2 or supervised")] = "baseline",
    subjects: Annotated[str, typer.Option(help="learn from these only, separated by commas")] = "",
    not_subjects: Annotated[str, typer.Option(help="learn from all but these")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="runs, each with its own seed")] = 1,
    minutes: Annotated[float | None, typer.Option(min=0, help="of each run, at most")] = None,
    config: Annotated[Path | None, typer.Option(help="JSON of TrainConfig")] = None,
    parent: Annotated[
        Path | None, typer.Option(help="start from this engine's or checkpoint's weights")
    ] = None,
    again: Annotated[bool, typer.Option("--resume", help="go on with the run in --out")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Learn a lifter from sessions or multi-view files."""
    plan = _plan(config, variant)
    learned, kept_back = _split(read_instants(paths), subjects, not_subjects)
    task = Task(
        config=plan,
        learned=learned,
        kept_back=kept_back,
        minutes=minutes,
        parent=read_checkpoint(parent) if parent else None,
        again=again,
    )
    torch.set_num_threads(plan.threads)
    runs = [_run(task, seed, out / f"seed-{seed}") for seed in range(seeds)]
    facts: dict[str, Any] = {plan.variant: _spread([scores for _, scores in runs])}
    facts |= {
        "checkpoint": str(runs[0][0]),
        "learned_from": len(learned),
        "reported_on": len(kept_back),
    }
    (out / METRICS).write_text(json.dumps(facts, indent=2) + "\n")
    typer.echo(json.dumps(facts if as_json else facts[plan.variant]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What every seed of a command does alike."""

    config: TrainConfig
    learned: Instants
    kept_back: Instants
    minutes: float | None
    parent: Checkpoint | None
    again: bool  # go on with a run that is there


def _plan(path: Path | None, variant: str) -> TrainConfig:
    """The configuration, checked."""
    try:
        given = json.loads(path.read_text()) if path else {}
        return TrainConfig(**given | {"variant": variant})
    except (OSError, ValueError, TypeError) as error:
        allowed = ", ".join(get_args(Variant))
        where = path or f"--variant {variant}"
        raise Refusal(
            f"{where} is no training configuration ({error}); variants are {allowed}"
        ) from error


def _split(instants: Instants, subjects: str, not_subjects: str) -> tuple[Instants, Instants]:
    """What is learned from, and the rest, which is reported on; the same where nothing is kept
    back.
    """
    if subjects and not_subjects:
        raise Refusal("--subjects and --not-subjects exclude each other; give one of them")
    names = [name for name in (subjects or not_subjects).split(",") if name]
    if not names:
        return instants, instants
    learned = instants.of_subjects(names, without=bool(not_subjects))
    rest = instants.take(np.array([s not in set(learned.subject) for s in instants.subject], bool))
    return learned, rest if len(rest) else learned


def _run(task: Task, seed: int, out: Path) -> tuple[Path, dict[str, Any]]:
    """One seed, from start (or checkpoint) to scores; its checkpoint and scores."""
    path, config = out / CHECKPOINT, task.config
    if path.exists() and not task.again:
        raise Refusal(f"{out} holds a run; add --resume to go on with it, or give another --out")
    if path.exists():
        run = resume(config, H36M_16, _same(path, config))
    else:
        run = start(config, H36M_16, seed, task.parent)
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG).write_text(config.model_dump_json(indent=2) + "\n")
    finished = _descend(run, task, path)
    scores = score(lift_with(finished.lifter()), task.kept_back)
    rows: list[str] = [row for row in ("one_view", "fused") if row in scores]
    named: dict[str, dict[str, float]] = {row: scores[row] for row in rows}
    replace(finished, scores=named).write(path)
    draw_curves(run.curve, out / CURVES)
    (out / METRICS).write_text(json.dumps(scores, indent=2) + "\n")
    return path, scores


def _same(path: Path, config: TrainConfig) -> Checkpoint:
    found = read_checkpoint(path)
    if found.config != config.model_dump():
        raise Refusal(
            f"{path} was trained with another configuration; give the same one or another --out"
        )
    return found


def _objective(run: Descent, learned: Instants) -> Objective:
    random = run.generators["batches"]
    if run.config.variant == "supervised":
        return from_bodies(learned, run.config, random)
    return from_views(seen_by_cameras(learned), run.config, random)


def _descend(run: Descent, task: Task, path: Path) -> Checkpoint:
    """The descent, with looks at the kept-back instants and a save at each; the run at rest."""
    config, sessions = run.config, task.learned.sessions
    rows = np.linspace(0, len(task.kept_back) - 1, config.check_instants).astype(int)
    shown = task.kept_back.take(np.unique(rows))
    next_look = [run.curve[-1]["progress"] + 1 / config.checks if run.curve else 0.0]
    with _progress_bar() as bar:
        row = bar.add_task(f"{config.variant} seed {run.seed}", total=1.0, loss=0.0)

        def told(run: Descent, progress: float, loss: float) -> None:
            bar.update(row, completed=progress, loss=loss)
            if progress >= next_look[0]:
                next_look[0] = progress + 1 / config.checks
                noted = {"step": run.step, "progress": progress, "loss": loss}
                run.curve.append(noted | _look(run, shown))
                run.at_rest(sessions, task.parent).write(path)

        descend(run, _objective(run, task.learned), task.minutes, told)
        bar.update(row, completed=1.0)
    if config.variant != "supervised":
        canonical = lifted_sample(run.lifter, seen_by_cameras(task.learned))
        if depth_sign(canonical, H36M_16) < 0:
            run.lifter.turn_depth_over()
    return run.at_rest(sessions, task.parent)


def _look(run: Descent, shown: Instants) -> dict[str, float]:
    """One-view and fused error of the lifter as it is now, where there is a truth."""
    facts = score(lift_with(run.lifter), shown)
    run.lifter.train()
    names = [name for name in ("one_view", "fused") if name in facts]
    look: dict[str, float] = {name: facts[name]["n_mpjpe_mm"] for name in names}
    look.update({name: v for name, v in facts["without_truth"].items() if v is not None})
    return look


def lift_with(lifter: Lifter) -> Lift:
    """The whole graph in torch, as scoring wants it."""
    graph = FusedLifter(lifter.eval(), H36M_16)

    def lift(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        inputs: list[Tensor] = [
            torch.from_numpy(np.array(a, np.float32)) for a in (keypoints_px, confidence, image_px)
        ]
        with torch.no_grad():
            outputs = graph(*inputs)
        return {name: tensor.numpy() for name, tensor in outputs._asdict().items()}

    return lift


def _spread(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds of every figure."""
    merged: dict[str, Any] = {}
    for key, value in scores[0].items():
        if isinstance(value, dict):
            merged[key] = _spread([s[key] for s in scores])
        elif isinstance(value, float):
            values = [s[key] for s in scores if s[key] is not None]
            merged[key] = {"mean": float(np.mean(values)), "sd": float(np.std(values))}
        else:
            merged[key] = value
    return merged


def _progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

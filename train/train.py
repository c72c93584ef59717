"""`cvsf train`: recordings in, a lifter out, with its curves, its scores on subjects kept back and
a checkpoint to go on from.

Label-free variants see 2D and confidences only; a truth in the file is used to report, never to
learn.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
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
    again: Annotated[bool, typer.Option("--resume", help="go on with the run in --out")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Learn a lifter from sessions or multi-view files."""
    plan = _plan(config, variant)
    learned, kept_back = _split(read_instants(paths), subjects, not_subjects)
    console = Console(stderr=True)
    runs = [
        _run(plan, learned, kept_back, seed, minutes, out / f"seed-{seed}", again, console)
        for seed in range(seeds)
    ]
    facts: dict[str, Any] = {plan.variant: _spread([scores for _, scores in runs])}
    facts |= {
        "checkpoint": str(runs[0][0]),
        "learned_from": len(learned),
        "reported_on": len(kept_back),
    }
    (out / METRICS).write_text(json.dumps(facts, indent=2) + "\n")
    typer.echo(json.dumps(facts if as_json else facts[plan.variant]))


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


def _run(
    config: TrainConfig,
    learned: Instants,
    kept_back: Instants,
    seed: int,
    minutes: float | None,
    out: Path,
    again: bool,
    console: Console,
) -> tuple[Path, dict[str, Any]]:
    """One seed, from start (or checkpoint) to scores; its checkpoint and scores."""
    path = out / CHECKPOINT
    if path.exists() and not again:
        raise Refusal(f"{out} holds a run; add --resume to go on with it, or give another --out")
    run = (
        resume(config, H36M_16, _same(path, config))
        if path.exists()
        else start(config, H36M_16, seed)
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG).write_text(config.model_dump_json(indent=2) + "\n")
    torch.set_num_threads(config.threads)
    finished = _descend(run, _objective(run, learned), learned, kept_back, minutes, path, console)
    scores = score(lift_with(finished.lifter()), kept_back)
    finished.write(path)
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


def _descend(
    run: Descent,
    objective: Objective,
    learned: Instants,
    kept_back: Instants,
    minutes: float | None,
    path: Path,
    console: Console,
) -> Checkpoint:
    """The descent with its looks at the kept-back instants, saved at every look; the finished run
    at rest.
    """
    rows = np.linspace(0, len(kept_back) - 1, run.config.check_instants).astype(int)
    shown = kept_back.take(np.unique(rows))
    next_look = [run.curve[-1]["progress"] if run.curve else 0.0]
    with _progress_bar(console) as bar:
        task = bar.add_task(f"{run.config.variant} seed {run.seed}", total=1.0, loss=0.0)

        def told(run: Descent, progress: float, loss: float) -> None:
            bar.update(task, completed=progress, loss=loss)
            if progress >= next_look[0]:
                next_look[0] = progress + 1 / run.config.checks
                run.curve.append(
                    {"step": run.step, "progress": progress, "loss": loss} | _look(run, shown)
                )
                run.at_rest(learned.sessions).write(path)

        descend(run, objective, minutes, told)
        bar.update(TaskID(task), completed=1.0)
    if run.config.variant != "supervised":
        canonical = lifted_sample(run.lifter, seen_by_cameras(learned))
        if depth_sign(canonical, H36M_16) < 0:
            run.lifter.turn_depth_over()
    run.curve.append({"step": run.step, "progress": 1.0, "loss": float("nan")} | _look(run, shown))
    return run.at_rest(learned.sessions)


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


def _progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
        console=console,
    )

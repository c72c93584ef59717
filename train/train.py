"""`cvsf train`: recordings in, a lifter out, with its curves, its scores on subjects kept back and
a checkpoint to go on from.

Label-free variants see 2D and confidences only; a truth in the file is used to report, never to
learn.
"""

import json
import logging
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from cvsf.engine.engine import SHIPPED
from cvsf.model.keypoint_adapter import Morph
from cvsf.system.errors import Refusal
from cvsf.system.shutdown import stop_on_signal
from train.batches.pseudo_labels import PseudoLabeller
from train.checkpoint import Checkpoint, read_checkpoint, read_morph
from train.config import TrainConfig, training_config
from train.data.instants import Recordings
from train.data.memmap_store import Store, check_store, open_store, write_store
from train.data.read import choice
from train.data.splits import KeptBack, Material
from train.distributed import ProcessGroup, leave, process_group, rank_0_errors
from train.evaluation.lifter_table import computing, show
from train.loop.preflight import CHECKPOINT, check
from train.loop.run import METRICS, Task, lift_with, train_seed

log = logging.getLogger(__name__)

_STORE = "instants"
"""In --out while it trains: what is learned from, ready to be drawn by row."""


def train(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="multi-view .npz files or session folders")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the run")] = Path("run"),
    dataset: Annotated[
        Path | None, typer.Option(help="folder of Human3.6M, MPI-INF-3DHP or SkiPose-PTZ instead")
    ] = None,
    truth_2d: Annotated[
        bool, typer.Option(help="of a dataset: the true 2D instead of a detector's")
    ] = False,
    variant: Annotated[
        str, typer.Option(help="baseline, s1, s1s2, stage3 or supervised")
    ] = "baseline",
    subjects: Annotated[str, typer.Option(help="learn from these only, separated by commas")] = "",
    not_subjects: Annotated[str, typer.Option(help="learn from all but these")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="runs, each with its own seed")] = 1,
    minutes: Annotated[
        float | None, typer.Option(help="of computing, of each run, at most")
    ] = None,
    config: Annotated[str | None, typer.Option(help="`paper`, or a JSON of TrainConfig")] = None,
    parent: Annotated[
        Path | None, typer.Option(help="start from this engine's or checkpoint's weights")
    ] = None,
    morph: Annotated[
        Path | None, typer.Option(help="of the detector, by train-morph; default: the parent's")
    ] = None,
    again: Annotated[bool, typer.Option("--resume", help="go on with the run in --out")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Learn a lifter from sessions, multi-view files or a published dataset."""
    order = Order(
        material=Material(paths or [], dataset, choice(subjects, not_subjects), truth_2d),
        out=out,
        variant=variant,
        config=config,
        seeds=seeds,
        minutes=minutes,
        parent=parent,
        morph=morph,
        again=again,
    )
    facts = carry_out(order)
    if facts is not None and as_json:
        typer.echo(json.dumps(facts))
    elif facts is not None:
        mean = facts[variant]
        title = f"{variant}, {seeds} seed{'s' if seeds > 1 else ''}: {computing(mean)} each"
        show(mean, f"{title}, {facts['learned_from']} instants, scored on {facts['reported_on']}")
    leave()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be trained: the words of the command."""

    material: Material
    out: Path
    variant: str
    config: str | None = None
    seeds: int = 1
    minutes: float | None = None
    parent: Path | None = None
    morph: Path | None = None
    again: bool = False


def carry_out(order: Order) -> dict[str, Any] | None:
    """Train every seed and write its folder, and the scores over all seeds to `out`; those scores,
    or None in a process other than rank 0. Refusal if settings or recordings do not permit it, or
    if stopped by Ctrl-C or SIGTERM; SystemExit where another process reports why. To be called on
    the main thread, as it sets signal handlers.
    """
    with stoppable() as stop:
        with rank_0_errors(stop):
            plan = training_config(order.config, order.variant)
            taught = read_checkpoint(order.parent) if order.parent else None
            inherited = taught.morphing() if taught else None
            behind = read_morph(order.morph) if order.morph else inherited
            check(
                plan,
                order.out,
                seeds=order.seeds,
                minutes=order.minutes,
                parent=taught,
                again=order.again,
            )
            labeller = _pseudo_labeller(plan, taught, behind)
        torch.set_num_threads(plan.threads)
        with (
            rank_0_errors(stop),
            process_group(plan.device, plan.batch_instants) as group,
            _prepared(order, plan, group, stop, labeller) as (learned, kept_back),
        ):
            task = Task(
                config=plan,
                learned=learned,
                kept_back=kept_back,
                minutes=order.minutes,
                parent=taught,
                morph=behind,
                again=order.again,
                group=group,
                stop=stop,
            )
            runs = [train_seed(task, seed, _folder(order, seed)) for seed in range(order.seeds)]
    if kept_back is None:
        return None
    facts: dict[str, Any] = {plan.variant: spread(runs)}
    facts |= {
        "checkpoint": str(_folder(order, 0) / CHECKPOINT),
        "learned_from": len(learned),
        "reported_on": len(kept_back),
    }
    if labeller is not None:
        facts |= {"sessions_placed": labeller.labelled, "sessions_left_out": labeller.left_out}
    (order.out / METRICS).write_text(json.dumps(facts, indent=2) + "\n")
    return facts


def _pseudo_labeller(
    plan: TrainConfig, parent: Checkpoint | None, morph: Morph | None
) -> PseudoLabeller | None:
    """For variant stage3: pseudo-labels with the parent's lifter if one is given, else the shipped
    one.
    """
    if plan.variant != "stage3":
        return None
    lifter = parent.lifter() if parent else None
    if lifter is None or lifter.shape.frames > 1:  # an instant is lifted at a time
        lifter = read_checkpoint(SHIPPED).lifter()
    return PseudoLabeller(lift_with(lifter), morph)


def _folder(order: Order, seed: int) -> Path:
    return order.out / f"seed-{seed}"


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """A block in which Ctrl-C and SIGTERM set the event that it gives, and do nothing else; after
    it, the former handlers are back. Only on the main thread.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop = threading.Event()
    stop_on_signal(stop)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _prepared(
    order: Order,
    config: TrainConfig,
    group: ProcessGroup,
    stop: threading.Event,
    labeller: PseudoLabeller | None,
) -> Iterator[tuple[Store, Recordings | None]]:
    """The training data, on disk for as long as the block runs, and, in the process that
    reports, what is kept back.
    """
    kept_back: Recordings | None = None
    folder = order.out / _STORE
    if group.is_rank_0:
        check_store(folder)
    try:
        with group.together():
            if group.is_rank_0:
                shutil.rmtree(folder, ignore_errors=True)
                thinned = KeptBack(config.report_instants)
                parts = _until(stop, order.material.parts(thinned))
                parts = labeller.parts(parts) if labeller else parts
                write_store(parts, folder, labelled=config.variant == "supervised")
                kept_back = thinned.instants()
        with group.together():
            learned = open_store(folder)
        if group.is_rank_0 and learned.views == 2:
            log.warning(
                "two views leave depth against turn open (bas-relief): expect flatter or deeper "
                "bodies than with three cameras or more"
            )
        yield learned, kept_back
    finally:
        if group.is_rank_0:
            shutil.rmtree(folder, ignore_errors=True)


def _until(stop: threading.Event, parts: Iterable[Recordings]) -> Iterator[Recordings]:
    for part in parts:
        if stop.is_set():
            raise Refusal("stopped while reading; no training was begun, start it again")
        yield part


def spread(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation (of the population) over several seeds, at least one, of every
    score that is a float, as {"mean", "sd"}; nested maps are kept. All seeds must have the keys of
    the first. Seeds without a value (None) are left out; anything else is the first seed's.
    """
    merged: dict[str, Any] = {}
    for key, value in scores[0].items():
        if isinstance(value, dict):
            merged[key] = spread([s[key] for s in scores])
        elif any(isinstance(s[key], float) for s in scores):
            values = [s[key] for s in scores if s[key] is not None]
            merged[key] = {"mean": float(np.mean(values)), "sd": float(np.std(values))}
        else:
            merged[key] = value
    return merged

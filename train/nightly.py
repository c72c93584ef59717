"""`cvsf nightly`: sessions in, a measurably better engine live, without a person.

Any failure leaves the engine that is live where it was and reports why; a night that was
killed is continued.
"""

import json
import logging
import math
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from cvsf.engine.manifest import MANIFEST, read_manifest
from cvsf.registry.registry import Registry
from cvsf.registry.verification import read_whole
from cvsf.system.errors import Refusal
from cvsf.system.settings import data_folder
from train.checkpoint import read_checkpoint
from train.config import TrainConfig
from train.data.read import read_instants
from train.export.compile import compile_engine
from train.loop.preflight import CHECKPOINT
from train.loop.run import METRICS
from train.night.compare_engines import compare, scores_of
from train.night.config import NightConfig, night_config, training_of
from train.night.folder import (
    PLAN,
    GivenUp,
    Night,
    Stopped,
    begin,
    held,
    training_command,
    unfinished,
)
from train.night.session_selection import REPORT, Plan, pick
from train.night.write_report import plain, write_report
from train.train import stoppable

log = logging.getLogger(__name__)

NIGHTS = "nights"
RUN, CANDIDATE, PROOF = "run", "candidate", "proof.json"
_CONFIG = "training.json"


def nightly(
    data: Annotated[Path | None, typer.Option(help="Folder of sessions and models.")] = None,
    config: Annotated[Path | None, typer.Option(help="A JSON of NightConfig.")] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled multi-view file a new engine must not be worse on."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of training, at most.")] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Training processes, one a GPU, by torchrun.")
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what it would learn from, and do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Learn from the day's sessions; make the new engine live if it is measurably better."""
    order = Order(
        data=data_folder(data),
        config=night_config(config),
        reference=tuple(checked(path) for path in reference or ()),
        minutes=minutes,
        processes=processes,
    )
    order.check()
    facts = would(order.data) if dry_run else spend(order)
    typer.echo(json.dumps(facts) if as_json else facts["verdict"])


def checked(path: Path) -> Path:
    """A labelled file, absolute; Refusal if it cannot be scored on."""
    if read_instants([path]).truth.joints_mm is None:
        raise Refusal(f"{path} holds no joints_mm, expected a labelled file; give another one")
    return path.absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The settings of a night."""

    data: Path
    config: NightConfig
    reference: tuple[Path, ...] = ()
    minutes: float | None = None
    processes: int = 1

    def check(self) -> None:
        """Refusal of what no training could be given."""
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise Refusal(
                f"--minutes is {self.minutes:g}, expected a number above 0; "
                "without it, all steps run"
            )
        batch = TrainConfig().batch_instants
        if batch % self.processes:
            raise Refusal(
                f"--processes is {self.processes}, expected a divisor of the {batch} instants of a "
                "batch; give 1, 2, 4 or 8"
            )

    @property
    def registry(self) -> Registry:
        """Where engines are."""
        return Registry(self.data / "models")


def would(data: Path) -> dict[str, Any]:
    """What a night would do now, touching nothing."""
    nights = data / NIGHTS
    if open_one := unfinished(nights):
        return {"outcome": "dry run", "verdict": f"It would go on with the night {open_one.name}."}
    live = _live(Registry(data / "models"))
    try:
        plan = pick(data / "sessions", nights, live)
    except Refusal as refusal:
        return {"outcome": "idle", "verdict": str(refusal)}
    verdict = (
        f"It would learn from {', '.join(plan.learned)}, keep back {', '.join(plan.kept_back)} "
        f"and start from {plan.live}."
    )
    return {"outcome": "dry run", "verdict": verdict, **plan.model_dump()}


def spend(order: Order) -> dict[str, Any]:
    """One night from its start, or from where it was left, to its report."""
    nights = order.data / NIGHTS
    with held(nights) as lock, stoppable() as stop:
        try:
            return _spend(order, nights, lock, stop)
        except Stopped:
            return _without("stopped", "Stopped; the next cvsf nightly goes on from here.")
        except OSError as error:
            raise Refusal(
                f"The night cannot go on in {nights} ({error}): make room or make it writable, "
                "then start it again and it goes on."
            ) from error


def _spend(order: Order, nights: Path, lock: int, stop: threading.Event) -> dict[str, Any]:
    folder = unfinished(nights)
    if folder is None:
        live = _live(order.registry)
        try:
            plan = pick(order.data / "sessions", nights, live)
        except Refusal as refusal:
            log.info("nothing to learn from", extra={"reason": str(refusal)})
            return _without("idle", str(refusal))
        for left in nights.glob(f"*/{REPORT}"):  # of a night that was killed while it tidied up
            _clear(left.parent)
        folder = begin(nights)
        folder.mkdir()
        Night(folder, lock).write(PLAN, plan.model_dump())
    night = Night(folder, lock)
    plan = Plan(live=order.registry.live_id(), learned=(), kept_back=())
    proof: Mapping[str, Any] | None = None
    log.info("night begins", extra={"night": night.id})
    try:
        plan = _plan(night)
        proof = _work(order, night, plan, stop)
        with night.step("tell"):
            facts = write_report(night, plan, proof, order.registry)
    except (GivenUp, Refusal) as reason:
        facts = write_report(night, plan, proof, order.registry, trouble=str(reason))
    _tidy(order, night)
    return facts


def _live(registry: Registry) -> str:
    """The engine that a night would start from; Refusal if it is not whole."""
    live = registry.live_id()
    read_whole(registry.folder(live))
    return live


def _without(outcome: str, why: str) -> dict[str, Any]:
    """The facts where there is no report."""
    return {"outcome": outcome, "verdict": why, "promoted": False}


def _plan(night: Night) -> Plan:
    try:
        return Plan.model_validate(night.read(PLAN))
    except ValidationError as error:
        raise GivenUp(f"{night.folder / PLAN} is damaged ({error})") from error


def _work(order: Order, night: Night, plan: Plan, stop: threading.Event) -> Mapping[str, Any]:
    """The steps that are not done yet; the proof, with what became of it."""
    registry = order.registry
    parent = registry.folder(plan.live)
    candidate = night.folder / CANDIDATE
    if not (night.folder / RUN / METRICS).is_file():
        with night.step("train", stop):
            _train(order, night, plan, parent, stop)
    if not (night.folder / PROOF).is_file():
        with night.step("prove", stop):
            fresh = read_checkpoint(night.folder / RUN)
            found = compare(fresh, parent, plan, order.data / "sessions", order.reference)
            night.write(PROOF, plain(found))
    proof = night.read(PROOF)
    if not proof["passed"]:
        return proof
    if not (candidate / MANIFEST).is_file():
        with night.step("compile", stop):
            _compile(night, parent, candidate, proof)
    with night.step("promote", stop):
        return proof | _promote(registry, plan, candidate, proof)


def _train(order: Order, night: Night, plan: Plan, parent: Path, stop: threading.Event) -> None:
    """`cvsf train` as a process of its own, going on with what a killed one saved."""
    sessions = order.data / "sessions"
    night.write(_CONFIG, training_of(order.config, read_checkpoint(parent)))
    out = night.folder / RUN
    words = [*training_command(order.processes), *(str(sessions / n) for n in plan.learned)]
    words += [str(sessions / name) for name in plan.rehearsed]
    words += ["--variant", "stage3", "--parent", str(parent), "--out", str(out)]
    words += ["--config", str(night.folder / _CONFIG), "--json"]
    if order.minutes is not None:
        words += ["--minutes", f"{order.minutes:g}"]
    if (out / "seed-0" / CHECKPOINT).is_file():
        words.append("--resume")
    night.run(words, stop)


def _compile(night: Night, parent: Path, candidate: Path, proof: Mapping[str, Any]) -> None:
    """The engine's folder, whole or not there; what runs is held to torch by `compile_engine`."""
    draft = night.folder / f".{CANDIDATE}"
    shutil.rmtree(draft, ignore_errors=True)
    fresh = replace(read_checkpoint(night.folder / RUN), scores=scores_of(proof))
    compile_engine(fresh, draft, like=parent)
    draft.rename(candidate)


def _promote(
    registry: Registry, plan: Plan, candidate: Path, proof: Mapping[str, Any]
) -> dict[str, Any]:
    """Make it live, unless that was done already or another engine was promoted meanwhile."""
    id, live = read_manifest(candidate).id, registry.live_id()
    if live != id and any(one.engine == id for one in registry.history()):
        return {"promoted": True, "engine": id}  # by this very night, which was killed afterwards
    if live not in (id, plan.live):
        why = f"{live} was made live while the night trained from {plan.live}"
        return {"promoted": False, "engine": id, "trouble": why}
    try:
        registry.take_in(candidate)
        # where a kill came between the link and the line of the history, this writes the line
        why = f"one view errs {proof['gain']:.1%} less on sessions kept back"
        registry.promote(id, why, instead_of=plan.live)
    except Refusal as refusal:
        return {"promoted": False, "engine": id, "trouble": str(refusal)}
    return {"promoted": True, "engine": id}


def _tidy(order: Order, night: Night) -> None:
    """Keep the report and the newest engines; what training needed goes."""
    _clear(night.folder)
    try:
        order.registry.rotate(order.config.keep_engines)
    except Refusal as refusal:
        log.warning("old engines stay", extra={"reason": str(refusal)})


def _clear(folder: Path) -> None:
    for name in (RUN, CANDIDATE, f".{CANDIDATE}"):
        shutil.rmtree(folder / name, ignore_errors=True)

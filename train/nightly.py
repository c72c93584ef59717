"""`cvsf nightly`: trains an engine on the day's sessions; it goes live if it is measurably better.

After any failure the live engine stays, and the report has the reason; a killed night is
continued.
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
from cvsf.registry.verification import read_verified
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
    config: Annotated[Path | None, typer.Option(help="JSON file of the settings.")] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="Multi-view file with ground truth, on which it must not be worse."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="At most so many of training.")] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Training processes by torchrun, one for each GPU.")
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the sessions it would train on; do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Train on the day's sessions; make the new engine live if it is measurably better."""
    options = NightOptions(
        data=data_folder(data),
        config=night_config(config),
        reference=tuple(checked(path) for path in reference or ()),
        minutes=minutes,
        processes=processes,
    )
    options.check()
    facts = preview(options.data) if dry_run else run_night(options)
    typer.echo(json.dumps(facts) if as_json else facts["verdict"])


def checked(path: Path) -> Path:
    """The absolute path of a multi-view file with ground truth, which is read for that; Refusal if
    it has no true joints or cannot be read.
    """
    if read_instants([path]).truth.joints_mm is None:
        raise Refusal(
            f"{path} holds no joints_mm, expected a file with ground truth; give another one"
        )
    return path.absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class NightOptions:
    """The settings of a night."""

    data: Path
    config: NightConfig
    reference: tuple[Path, ...] = ()
    minutes: float | None = None
    processes: int = 1

    def check(self) -> None:
        """Refusal if no training is possible with these settings: minutes not above 0, or a number
        of processes that does not divide the batch. Files are not looked at.
        """
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
        """The registry of engines in the data folder."""
        return Registry(self.data / "models")


def preview(data: Path) -> dict[str, Any]:
    """What a night would do now, as a map with `outcome` (dry run, or idle if it would not begin)
    and `verdict`; nothing is changed. Refusal if the live engine is damaged.
    """
    nights = data / NIGHTS
    if open_night := unfinished(nights):
        return {"outcome": "dry run", "verdict": f"It would continue the night {open_night.name}."}
    live = _live(Registry(data / "models"))
    try:
        plan = pick(data / "sessions", nights, live)
    except Refusal as refusal:
        return {"outcome": "idle", "verdict": str(refusal)}
    verdict = (
        f"It would train on {', '.join(plan.learned)}, keep back {', '.join(plan.kept_back)} "
        f"and start from {plan.live}."
    )
    return {"outcome": "dry run", "verdict": verdict, **plan.model_dump()}


def run_night(options: NightOptions) -> dict[str, Any]:
    """Run or continue one night, for as long as it takes; its report, which is written to the
    night's folder too. Without a report: `outcome` idle if nothing is to be trained on, stopped
    after Ctrl-C or SIGTERM. A failed training is in the report; Refusal if another night runs, the
    live engine is damaged, or the data folder cannot be written. Only on the main thread.
    """
    nights = options.data / NIGHTS
    with held(nights) as lock, stoppable() as stop:
        try:
            return _run_or_continue(options, nights, lock, stop)
        except Stopped:
            return _no_report("stopped", "Stopped; the next cvsf nightly continues this night.")
        except OSError as error:
            raise Refusal(
                f"The night cannot continue in {nights} ({error}): make room or make it writable, "
                "then start it again."
            ) from error


def _run_or_continue(
    options: NightOptions, nights: Path, lock: int, stop: threading.Event
) -> dict[str, Any]:
    folder = unfinished(nights)
    if folder is None:
        live = _live(options.registry)
        try:
            plan = pick(options.data / "sessions", nights, live)
        except Refusal as refusal:
            log.info("no night begins", extra={"reason": str(refusal)})
            return _no_report("idle", str(refusal))
        for left in nights.glob(
            f"*/{REPORT}"
        ):  # of a night that was killed while it deleted its run
            _clear(left.parent)
        folder = begin(nights)
        folder.mkdir()
        Night(folder, lock).write(PLAN, plan.model_dump())
    night = Night(folder, lock)
    plan = Plan(live=options.registry.live_id(), learned=(), kept_back=())
    comparison: Mapping[str, Any] | None = None
    log.info("night begins", extra={"night": night.id})
    try:
        plan = _plan(night)
        comparison = _run_steps(options, night, plan, stop)
        with night.step("tell"):
            facts = write_report(night, plan, comparison, options.registry)
    except (GivenUp, Refusal) as reason:
        facts = write_report(night, plan, comparison, options.registry, trouble=str(reason))
    _delete_old(options, night)
    return facts


def _live(registry: Registry) -> str:
    """The id of the live engine; Refusal if its files are damaged."""
    live = registry.live_id()
    read_verified(registry.folder(live))
    return live


def _no_report(outcome: str, why: str) -> dict[str, Any]:
    """The facts of a call without a report."""
    return {"outcome": outcome, "verdict": why, "promoted": False}


def _plan(night: Night) -> Plan:
    try:
        return Plan.model_validate(night.read(PLAN))
    except ValidationError as error:
        raise GivenUp(f"{night.folder / PLAN} is damaged ({error})") from error


def _run_steps(
    options: NightOptions, night: Night, plan: Plan, stop: threading.Event
) -> Mapping[str, Any]:
    """Run the steps that are not done yet; the comparison, with its consequence."""
    registry = options.registry
    parent = registry.folder(plan.live)
    candidate = night.folder / CANDIDATE
    if not (night.folder / RUN / METRICS).is_file():
        with night.step("train", stop):
            _train(options, night, plan, parent, stop)
    if not (night.folder / PROOF).is_file():
        with night.step("prove", stop):
            checkpoint = read_checkpoint(night.folder / RUN)
            result = compare(checkpoint, parent, plan, options.data / "sessions", options.reference)
            night.write(PROOF, plain(result))
    comparison = night.read(PROOF)
    if not comparison["passed"]:
        return comparison
    if not (candidate / MANIFEST).is_file():
        with night.step("compile", stop):
            _compile(night, parent, candidate, comparison)
    with night.step("promote", stop):
        return comparison | _promote(registry, plan, candidate, comparison)


def _train(
    options: NightOptions, night: Night, plan: Plan, parent: Path, stop: threading.Event
) -> None:
    """Run `cvsf train` as a child process; it resumes from a checkpoint if there is one."""
    sessions = options.data / "sessions"
    night.write(_CONFIG, training_of(options.config, read_checkpoint(parent)))
    out = night.folder / RUN
    arguments = [*training_command(options.processes), *(str(sessions / n) for n in plan.learned)]
    arguments += [str(sessions / name) for name in plan.rehearsed]
    arguments += ["--variant", "stage3", "--parent", str(parent), "--out", str(out)]
    arguments += ["--config", str(night.folder / _CONFIG), "--json"]
    if options.minutes is not None:
        arguments += ["--minutes", f"{options.minutes:g}"]
    if (out / "seed-0" / CHECKPOINT).is_file():
        arguments.append("--resume")
    night.run(arguments, stop)


def _compile(night: Night, parent: Path, candidate: Path, comparison: Mapping[str, Any]) -> None:
    """Write the candidate's folder, complete or not at all; it must agree with torch."""
    draft = night.folder / f".{CANDIDATE}"
    shutil.rmtree(draft, ignore_errors=True)
    checkpoint = replace(read_checkpoint(night.folder / RUN), scores=scores_of(comparison))
    compile_engine(checkpoint, draft, like=parent)
    draft.rename(candidate)


def _promote(
    registry: Registry, plan: Plan, candidate: Path, comparison: Mapping[str, Any]
) -> dict[str, Any]:
    """Promote the candidate, unless it was promoted already or another engine was meanwhile."""
    id, live = read_manifest(candidate).id, registry.live_id()
    if live != id and any(one.engine == id for one in registry.history()):
        return {"promoted": True, "engine": id}  # by this night, which was killed afterwards
    if live not in (id, plan.live):
        why = f"{live} was made live while the night trained from {plan.live}"
        return {"promoted": False, "engine": id, "trouble": why}
    try:
        registry.add(candidate)
        # after a kill between link and history, this writes the line of the history
        why = f"the error of single views is {comparison['gain']:.1%} lower on kept-back sessions"
        registry.promote(id, why, instead_of=plan.live)
    except Refusal as refusal:
        return {"promoted": False, "engine": id, "trouble": str(refusal)}
    return {"promoted": True, "engine": id}


def _delete_old(options: NightOptions, night: Night) -> None:
    """Delete the run and old engines; the report stays."""
    _clear(night.folder)
    try:
        options.registry.rotate(options.config.keep_engines)
    except Refusal as refusal:
        log.warning("old engines not deleted", extra={"reason": str(refusal)})


def _clear(folder: Path) -> None:
    for name in (RUN, CANDIDATE, f".{CANDIDATE}"):
        shutil.rmtree(folder / name, ignore_errors=True)

"""The last step of a night: report.json and report.html, for every outcome.

The report ends a night; a night without one is continued by the next.
"""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cvsf.engine.manifest import read_manifest
from cvsf.registry.registry import Registry
from cvsf.system.errors import Refusal
from train.checkpoint import read_checkpoint
from train.night.folder import Night, now
from train.night.session_selection import REPORT, Plan

log = logging.getLogger(__name__)

PAGE = "report.html"
_FROM_PROOF = ("gate", "gain", "gain_interval", "evaluation", "reference", "bones", "skeletons")


def write_report(
    night: Night,
    plan: Plan,
    proof: Mapping[str, Any] | None,
    registry: Registry,
    trouble: str | None = None,
) -> dict[str, Any]:
    """Write `report.html` and then `report.json` to the night's folder, which ends the night; the
    report, with the path of the page. Without `proof` its outcome is refused, for which `trouble`
    says why. A page that cannot be drawn is logged and reported, not raised; OSError if the report
    cannot be written.
    """
    found = dict(proof or {})
    trouble = trouble or found.get("trouble")
    promoted = bool(found.get("promoted"))
    outcome = "refused" if proof is None else "promoted" if promoted else "kept"
    report: dict[str, Any] = {
        "schema": 1,
        "night": night.id,
        "began": night.began,
        "ended": now(),
        "outcome": outcome,
        "promoted": promoted,
        "verdict": _verdict(found, outcome, trouble),
        "engine": found.get("engine"),
        "before": {"id": plan.live, "sha256": _sha256(registry, plan.live)},
        "sessions": _sessions(plan, found),
        "training": _training(night.folder / "run"),
        "steps": night.steps,
        "problems": [trouble] if trouble else [],
    }
    report |= {name: found[name] for name in _FROM_PROOF if name in found}
    report = {name: plain(value) for name, value in report.items()}
    try:
        from train.report.page import write_page  # loads matplotlib, which only a page needs

        write_page(report, night.folder / PAGE)
    except Exception as error:  # a page that cannot be drawn does not stop a night
        log.exception("page not written", extra={"night": night.id})
        report["problems"] = [*report["problems"], f"the page was not written ({error})"]
    night.write(REPORT, report)
    log.info("night ends", extra={"night": night.id, "outcome": outcome})
    return report | {"report": str(night.folder / PAGE)}


def _verdict(found: Mapping[str, Any], outcome: str, trouble: str | None) -> str:
    if outcome == "promoted":
        low, high = found["gain_interval"]
        return (
            f"Better: the error of single cameras is {found['gain']:.0%} lower on kept-back "
            f"sessions (95 % interval {low:.0%} to {high:.0%}); {found['engine']} is live."
        )
    if trouble:
        return f"Nothing changed: {trouble.rstrip('.')}."
    failed = next(check for check in found["gate"] if not check["passed"])
    why = f"{failed['check']}: {_written(failed['found'])}, expected {failed['wanted']}"
    return f"Nothing changed: the new engine is not measurably better ({why})."


def _written(found: float | None) -> str:
    return "no number" if found is None else f"{found:.3g}"


def _sha256(registry: Registry, id: str) -> str | None:
    """The sha256 of an engine; None if it is not there any more."""
    try:
        return read_manifest(registry.folder(id)).sha256
    except Refusal:
        return None


def _sessions(plan: Plan, found: Mapping[str, Any]) -> dict[str, Any]:
    seen = {row["session"]: row for row in found.get("evaluation", ())}
    return {
        "learned": [{"name": name} for name in plan.learned],
        "kept_back": [
            {"name": name, **{k: seen[name][k] for k in ("instants", "seconds") if name in seen}}
            for name in plan.kept_back
        ],
        "rehearsed": list(plan.rehearsed),
        "earlier": list(plan.earlier),
        "left_out": {**plan.left_out, **found.get("left_out", {})},
    }


def _training(run: Path) -> dict[str, Any]:
    """The figures of the training run, as far as it ran."""
    try:
        rest = read_checkpoint(run)
    except Refusal:
        return {}
    return {
        "variant": rest.variant,
        "steps": rest.step,
        "computing_s": rest.course.get("spent_s"),
        "curve": rest.curve,
    }


def plain(value: Any) -> Any:
    """The value as JSON has it: maps with text as keys, tuples as lists, null instead of NaN and
    infinity; anything else as it is.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value

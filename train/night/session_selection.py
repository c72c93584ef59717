"""The choice of a night's sessions: some are trained on, the others are kept back for evaluation.

A session is offered to every night until one promotes an engine that was trained on it.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cvsf.session.mcap_records import POSE
from cvsf.session.reader import MANIFEST, SessionReader, read_manifest
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

REPORT = "report.json"
_KEPT_BACK_SHARE, _LEAST_INSTANTS = 0.3, 40
"""Guesses, not measured."""
_MOST_EARLIER = 2
"""Sessions that earlier nights kept back, which are evaluated again; a guess, not measured."""


class Plan(BaseModel):
    """`plan.json`: the sessions of a night, by name, and the engine it starts from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    live: str
    learned: tuple[str, ...]
    kept_back: tuple[str, ...]
    rehearsed: tuple[str, ...] = ()  # trained on by earlier nights, and again now
    earlier: tuple[str, ...] = ()  # kept back by earlier nights, evaluated again
    left_out: Mapping[str, str] = {}


def pick(sessions: Path, nights: Path, live: str) -> Plan:
    """The plan of a night from the sealed sessions that no promoted night used; of these, files are
    compared with their sha256. Nothing is written. Refusal if fewer than two are usable, or if the
    last night had the same ones and engine and promoted nothing.
    """
    offered, left_out = _sealed(sessions)
    before = [report for report in reports(nights) if report.get("outcome") == "promoted"]
    learned_before = _names(before, "learned")
    kept_before = _names(before, "kept_back")
    used = {*learned_before, *kept_before}
    new_sessions = []
    for name in (name for name in offered if name not in used):
        if changed := [
            f for f, is_same in SessionReader(sessions / name).verify().items() if not is_same
        ]:
            left_out[name] = f"{changed[0]} does not have the sealed sha256; restore the file"
            log.warning("session left out, it is damaged", extra={"session": name})
        else:
            new_sessions.append(name)
    if len(new_sessions) < 2:
        plural = "" if len(new_sessions) == 1 else "s"
        found = f"{len(new_sessions)} new sealed session{plural} of a person"
        others = f" ({len(left_out)} more cannot be used: cvsf sessions)" if left_out else ""
        raise Refusal(
            f"{sessions} has {found}{others}, expected at least 2, one of which is kept back; "
            f"record {2 - len(new_sessions)} more, the next night takes them all"
        )
    if same_night := _same_night(reports(nights), new_sessions, live):
        raise Refusal(
            f"{sessions} has the same sessions as the night {same_night}, which promoted nothing "
            f"from {live}; record another session, the next night takes them all"
        )
    kept_back = _spread(new_sessions, max(1, round(_KEPT_BACK_SHARE * len(new_sessions))))
    learned = [name for name in new_sessions if name not in kept_back]
    present = set(offered)
    return Plan(
        live=live,
        learned=tuple(learned),
        kept_back=tuple(kept_back),
        rehearsed=tuple(n for n in learned_before if n in present)[-len(learned) :],
        earlier=tuple(n for n in kept_before if n in present)[-_MOST_EARLIER:],
        left_out=left_out,
    )


def reports(nights: Path) -> list[dict[str, object]]:
    """The reports of earlier nights, oldest first; one that cannot be read is logged and left out.
    Empty if there are none.
    """
    found = []
    for path in sorted(nights.glob(f"*/{REPORT}")):
        try:
            report = json.loads(path.read_bytes())
        except (OSError, ValueError):
            log.warning("report of an earlier night cannot be read", extra={"file": str(path)})
            continue
        if isinstance(report, dict):
            found.append(report)
    return found


def _same_night(reports: list[dict[str, object]], new_sessions: list[str], live: str) -> str | None:
    """The id of the last night, if it had the same sessions and engine and promoted nothing."""
    for last in reports[-1:]:
        before = last.get("before")
        names = {name for role in ("learned", "kept_back") for name in _names([last], role)}
        is_same = (
            names == set(new_sessions) and isinstance(before, dict) and before.get("id") == live
        )
        if is_same and last.get("outcome") == "kept":  # the cause of a refusal may be removed
            return str(last.get("night"))
    return None


def _sealed(sessions: Path) -> tuple[list[str], dict[str, str]]:
    """Sessions that can be trained on, oldest first, and why the others cannot."""
    offered: list[tuple[str, str]] = []
    left_out: dict[str, str] = {}
    for folder in sorted(path.parent for path in sessions.glob(f"*/{MANIFEST}")):
        try:
            manifest = read_manifest(folder)
        except Refusal as refusal:
            left_out[folder.name] = str(refusal)
            continue
        poses = manifest.count(POSE)
        if not manifest.sealed:
            left_out[folder.name] = "it is not sealed: it is being recorded, or its hub was killed"
        elif len(manifest.cameras) == 1:
            left_out[folder.name] = "it has one camera, expected at least 2"
        elif poses < _LEAST_INSTANTS:
            left_out[folder.name] = (
                f"it has {poses} instants of 2D poses, expected at least {_LEAST_INSTANTS}"
            )
        else:
            offered.append((manifest.started, folder.name))
    return [name for _, name in sorted(offered)], left_out


def _names(reports: list[dict[str, object]], role: str) -> list[str]:
    """Names of the sessions with that role, oldest night first."""
    names: list[str] = []
    for report in reports:
        sessions = report.get("sessions")
        listed = sessions.get(role) if isinstance(sessions, dict) else None
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and isinstance(one.get("name"), str):
                names.append(one["name"])
    return list(dict.fromkeys(names))


def _spread(names: list[str], count: int) -> list[str]:
    """`count` of the names, evenly spread, with the last one."""
    step = len(names) / count
    return [names[round((k + 1) * step) - 1] for k in range(count)]

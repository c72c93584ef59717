"""The history of promotions: `models/history.jsonl`, one line for each, with time and reason.

The link names the live engine; the history gives the target of a rollback.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cvsf.system.disk import Storage, replace_file

HISTORY = "history.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One promotion of an engine."""

    at: str  # UTC, ISO 8601
    engine: str
    before: str  # live until then
    why: str
    rolled_back: bool  # because the engine before was worse


def read_history(models: Path) -> list[Promotion]:
    """The promotions, oldest first, without damaged lines."""
    try:
        content = (models / HISTORY).read_bytes()
    except FileNotFoundError:
        return []
    found = [_promotion(line) for line in content.splitlines()]
    return [one for one in found if one]


def read_intent(path: Path) -> Promotion | None:
    """The promotion that a killed writer had begun; None if there is none."""
    try:
        return _promotion(path.read_bytes())
    except FileNotFoundError:
        return None


def append(storage: Storage, models: Path, promotion: Promotion) -> None:
    """Add a promotion to the history; damaged lines are removed."""
    path = models / HISTORY
    content = path.read_bytes() if path.exists() else b""
    lines = [line for line in content.splitlines() if _promotion(line)]
    lines.append(json.dumps(asdict(promotion)).encode())
    replace_file(storage, path, b"\n".join([*lines, b""]))


def lineage(history: Sequence[Promotion], live: str, first: str) -> list[str]:
    """The successive live engines, the present one last, without those rolled back from."""
    line = [history[0].before if history else first]
    for one in history:
        if one.rolled_back and one.engine in line:
            while line[-1] != one.engine:
                line.pop()
        else:
            line.append(one.engine)
    if line[-1] != live:
        line.append(live)  # its line is missing, or the link was set by hand
    return [id for id in line[:-1] if id != live] + [live]


def rolled_back_from(history: Sequence[Promotion]) -> set[str]:
    """The names of all engines that were ever rolled back from."""
    return {one.before for one in history if one.rolled_back}


def _promotion(line: bytes) -> Promotion | None:
    try:
        return Promotion(**json.loads(line))
    except (ValueError, TypeError):
        return None

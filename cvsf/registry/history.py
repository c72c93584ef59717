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
    """The promotions in `models/history.jsonl`, oldest first; damaged lines are left out. No file
    gives an empty list; OSError if the file cannot be read.
    """
    try:
        content = (models / HISTORY).read_bytes()
    except FileNotFoundError:
        return []
    found = [_promotion(line) for line in content.splitlines()]
    return [one for one in found if one]


def read_intent(path: Path) -> Promotion | None:
    """The promotion that a killed writer had begun, from the file at `path`. None if there is no
    file, as in the ordinary case, or it is damaged. OSError if it cannot be read.
    """
    try:
        return _promotion(path.read_bytes())
    except FileNotFoundError:
        return None


def append(storage: Storage, models: Path, promotion: Promotion) -> None:
    """Add a promotion to the history; the whole file is replaced, without its damaged lines.
    OSError if the disk fails; then the old file stays. The caller holds the registry's lock.
    """
    path = models / HISTORY
    content = path.read_bytes() if path.exists() else b""
    lines = [line for line in content.splitlines() if _promotion(line)]
    lines.append(json.dumps(asdict(promotion)).encode())
    replace_file(storage, path, b"\n".join([*lines, b""]))


def lineage(history: Sequence[Promotion], live: str, first: str) -> list[str]:
    """The engines on the way to `live`, which is last and there once; `history` is oldest first.

    It begins with the engine before the oldest promotion, or `first` if the history is empty. A
    rollback removes all after its target. An engine that was promoted again by hand is there twice
    unless it is live; then its earlier places, also the first, are left out. A `live` that the
    history lacks is added.
    """
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
    """The names of all engines that a rollback ever replaced, also those promoted again since."""
    return {one.before for one in history if one.rolled_back}


def _promotion(line: bytes) -> Promotion | None:
    try:
        return Promotion(**json.loads(line))
    except (ValueError, TypeError):
        return None

"""Reading and formatting of the values of a night's report.

A key that is missing, null, of another type or not finite gives None or an empty value, never an
error: an interrupted night has a report too.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Report = Mapping[str, Any]

NOTHING, MINUS, _GAP = "\u2013", "\u2212", "\u00a0"


def table(report: Report, name: str) -> Report:
    """The map of that name in the report, not a copy; an empty one if there is none or the value is
    no map.
    """
    found = report.get(name)
    return found if isinstance(found, Mapping) else {}


def rows(report: Report, name: str) -> list[Report]:
    """The maps in the report's list of that name; what is no map is left out, and it is empty if
    there is no list.
    """
    return [row for row in items(report, name) if isinstance(row, Mapping)]


def items(report: Report, name: str) -> list[Any]:
    """The report's list of that name as a new list; empty if there is none or the value is no list.
    A text is no list.
    """
    found = report.get(name)
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []


def text(report: Report, name: str) -> str | None:
    """The text of that name without blanks around it; of a number or a truth value its digits or
    word. None if there is none, it is empty, or it is a map or list.
    """
    found = report.get(name)
    if isinstance(found, str):
        return found.strip() or None
    return None if found is None or isinstance(found, Mapping | Sequence) else str(found)


def number(report: Report, name: str) -> float | None:
    """The number of that name in the report; None unless it is finite."""
    return finite(report.get(name))


def finite(value: Any) -> float | None:
    """The value as a float; None unless it is a finite number. A truth value, or text with digits,
    is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        read = float(value)
    except OverflowError:
        return None
    return read if math.isfinite(read) else None


def moment(report: Report, name: str) -> datetime | None:
    """The time of that name (ISO 8601) in UTC; one without a zone is taken for UTC. None if it is
    missing or no time.
    """
    try:
        read = datetime.fromisoformat(text(report, name) or "")
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 as text in percent; a dash for None."""
    return NOTHING if share is None else f"{_plain(100 * share, digits)}{_GAP}%"


def span(seconds: float | None) -> str:
    """A duration in s as text: below 10 s with tenths, else in its two largest units. A dash for
    None or a negative one.
    """
    if seconds is None or seconds < 0:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f}{_GAP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_GAP}s"
    large, small, words = (60, 1, ("min", "s")) if whole < 3600 else (3600, 60, ("h", "min"))
    return f"{whole // large} {words[0]} {whole % large // small:02d} {words[1]}".replace(" ", _GAP)


def count(value: float | None, one: str = "", many: str = "") -> str:
    """A whole number (rounded) with thin gaps between thousands, and what it counts: `one` for 1,
    else `many`. For None a dash and `many`.
    """
    if value is None:
        return " ".join([NOTHING, many]).strip()
    digits = f"{round(value):,}".replace(",", "\u202f")
    return f"{digits} {one if round(value) == 1 else many}".strip()


def plain(value: float | None) -> str:
    """A number of any size as text, in at most four digits, with a power of ten if it needs one; a
    dash for None.
    """
    if value is None:
        return NOTHING
    digits, _, power = f"{value:.4g}".partition("e")
    return (f"{digits}e{int(power)}" if power else digits).replace("-", MINUS)


def _plain(value: float, digits: int) -> str:
    written = f"{value:.{digits}f}"
    return written.replace("-", MINUS) if float(written) else written.lstrip("-")

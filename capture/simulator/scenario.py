"""The addresses of simulated cameras: which of the slope's, and their scripted events.

A camera may be knocked (`sim?turn=2:5@12`: camera 2 is rotated by 5 degrees 12 s after its first
picture); only the ground truth records it. `sim?take=3` is another run of the
same skier past the same cameras.
"""

import re
from dataclasses import dataclass

from capture.sources.source import Found
from cvsf.system.errors import Refusal

MOST = 16
_KNOCK = re.compile(r"(\d+):([+-]?\d+(?:\.\d+)?)@(\d+(?:\.\d+)?)")
_TAKE = re.compile(r"take=(\d{1,6})")
_MOST_DEG = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """A camera on its tripod is rotated to its left, once."""

    turn_deg: float
    after_s: float  # its first picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One simulated camera, read from its address."""

    index: int
    moving: bool
    knock: Knock | None = None
    take: int = 0


def find(source: str, cams: int) -> list[Found]:
    """The simulated cameras of an address: `sim`, `sim:still`, `sim:moving`, `sim:2,3` or
    `sim:moving:2,3`, perhaps with `?turn=2:5@12`, `?take=3` or both behind it. Without numbers they
    are the first `cams`, 16 at most. Refusal for any other address, and for `turn` with panning
    cameras.
    """
    address, _, suffix = source.partition("?")
    words = address.split(":")[1:]
    kind = words.pop(0) if words and words[0] in ("still", "moving") else "still"
    numbers = words.pop(0) if words else None
    indices = list(range(min(cams, MOST))) if numbers is None else _indices(numbers)
    take, options = _take(suffix.split("&") if suffix else [])
    knocks = _knocks(options)
    if indices is None or knocks is None or words or not set(knocks) <= set(indices):
        raise Refusal(
            f"{source!r} is no simulated source: expected sim, sim:still, sim:moving,"
            " sim:2,3 or sim:moving:2,3, and behind it perhaps ?turn=2:5@12 (camera 2 is turned by"
            " 5 degrees after 12 s) or ?take=3 (another run on the same slope), joined by &."
        )
    if knocks and kind == "moving":
        raise Refusal(f"{source!r}: cameras that pan cannot be knocked; leave out ?turn.")
    return [Found(uri=_address(kind, i, knocks.get(i), take), name=f"cam{i}") for i in indices]


def read_address(uri: str) -> Staged:
    """The camera of an address that `find` wrote, such as `sim:still?index=2&take=3&turn=5.0@12.0`.
    Without `take` it is run 0, without `turn` there is no knock. ValueError where a number is
    missing or wrong; other faults are not checked.
    """
    kind, _, options = uri.removeprefix("sim:").partition("?index=")
    options, _, turn = options.partition("&turn=")
    index, _, take = options.partition("&take=")
    knock = None
    if turn:
        turn_deg, _, after_s = turn.partition("@")
        knock = Knock(turn_deg=float(turn_deg), after_s=float(after_s))
    return Staged(index=int(index), moving=kind == "moving", knock=knock, take=int(take or 0))


def _address(kind: str, index: int, knock: Knock | None, take: int) -> str:
    suffix = f"&turn={knock.turn_deg}@{knock.after_s}" if knock else ""
    run = f"&take={take}" if take else ""
    return f"sim:{kind}?index={index}{run}{suffix}"


def _indices(numbers: str) -> list[int] | None:
    parts = numbers.split(",")
    if not all(part.isdecimal() and int(part) < MOST for part in parts):
        return None
    return [int(part) for part in parts]


def _take(options: list[str]) -> tuple[int, list[str]]:
    """The number of the run, 0 by default, and the other options."""
    takes = [found for part in options if (found := _TAKE.fullmatch(part))]
    if len(takes) != 1:
        return 0, options  # none, or more than a run can be
    return int(takes[0][1]), [part for part in options if part != takes[0][0]]


def _knocks(options: list[str]) -> dict[int, Knock] | None:
    """The knock of each camera; None where an option is not valid."""
    found: dict[int, Knock] = {}
    for part in options:
        knock = _KNOCK.fullmatch(part.removeprefix("turn="))
        if not part.startswith("turn=") or not knock or int(knock[1]) in found:
            return None
        if abs(float(knock[2])) > _MOST_DEG:
            return None
        found[int(knock[1])] = Knock(turn_deg=float(knock[2]), after_s=float(knock[3]))
    return found

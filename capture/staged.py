"""Simulated cameras as they are asked for: which of the slope's, and what befalls them.

A camera may be knocked (`sim?turn=2:5@12`: camera 2 is turned by 5 degrees 12 s after its first
picture), as happens on a slope; nobody is told but the truth.
"""

import re
from dataclasses import dataclass

from capture.camera import Found
from cvsf.refusal import Refusal

MOST = 16
_KNOCK = re.compile(r"(\d+):([+-]?\d+(?:\.\d+)?)@(\d+(?:\.\d+)?)")
_MOST_DEG = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """A camera on its tripod is turned to its left, once."""

    turn_deg: float
    after_s: float  # its first picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One simulated camera: what its address says."""

    index: int
    moving: bool
    knock: Knock | None = None


def find(source: str, cams: int) -> list[Found]:
    """`sim`, `sim:still`, `sim:moving`, `sim:2,3`, `sim:moving:2,3`, with `?turn=2:5@12` behind."""
    place, _, fate = source.partition("?")
    words = place.split(":")[1:]
    kind = words.pop(0) if words and words[0] in ("still", "moving") else "still"
    numbers = words.pop(0) if words else None
    indices = list(range(min(cams, MOST))) if numbers is None else _indices(numbers)
    knocks = _knocks(fate)
    if indices is None or knocks is None or words or not set(knocks) <= set(indices):
        raise Refusal(
            f"{source!r} is no simulated source: expected sim, sim:still, sim:moving,"
            " sim:2,3 or sim:moving:2,3, and behind it perhaps ?turn=2:5@12 (camera 2 is turned by"
            " 5 degrees after 12 s)."
        )
    if knocks and kind == "moving":
        raise Refusal(f"{source!r}: cameras that pan cannot be knocked; leave out ?turn.")
    return [Found(uri=_address(kind, i, knocks.get(i)), name=f"cam{i}") for i in indices]


def read_address(uri: str) -> Staged:
    """What `find` wrote: `sim:still?index=2&turn=5.0@12.0`."""
    place, _, asked = uri.removeprefix("sim:").partition("?index=")
    index, _, fate = asked.partition("&turn=")
    knock = None
    if fate:
        turn_deg, _, after_s = fate.partition("@")
        knock = Knock(turn_deg=float(turn_deg), after_s=float(after_s))
    return Staged(index=int(index), moving=place == "moving", knock=knock)


def _address(kind: str, index: int, knock: Knock | None) -> str:
    fate = f"&turn={knock.turn_deg}@{knock.after_s}" if knock else ""
    return f"sim:{kind}?index={index}{fate}"


def _indices(numbers: str) -> list[int] | None:
    parts = numbers.split(",")
    if not all(part.isdecimal() and int(part) < MOST for part in parts):
        return None
    return [int(part) for part in parts]


def _knocks(fate: str) -> dict[int, Knock] | None:
    """Which camera is knocked how; None where the text does not say."""
    found: dict[int, Knock] = {}
    for part in fate.split("&") if fate else ():
        said = _KNOCK.fullmatch(part.removeprefix("turn="))
        if not part.startswith("turn=") or not said or int(said[1]) in found:
            return None
        if abs(float(said[2])) > _MOST_DEG:
            return None
        found[int(said[1])] = Knock(turn_deg=float(said[2]), after_s=float(said[3]))
    return found

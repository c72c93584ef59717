"""The calibrations of a session: which held from when on, and the newest as a file beside it.

Each is an event in the session, so that whoever reads a skeleton later knows the cameras it came
from.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvsf.multiview.rig import Calibration, from_plain, to_plain
from cvsf.session.reader import SessionReader
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

CAMERAS = "cameras.json"
EVENT_NAME = "calibration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A calibration and the time from which the hub placed by it."""

    t_ns: int  # exposure of the first instant placed by it, hub clock
    number: int  # that skeletons carry; 1 is the first
    cause: str  # first, better, moved (a camera was found elsewhere), again, resumed or known
    moved: tuple[str, ...]
    calibration: Calibration


def to_event(held: Held) -> dict[str, Any]:
    """What is recorded; the event's name is `EVENT_NAME`."""
    return {
        "t_ns": held.t_ns,
        "number": held.number,
        "cause": held.cause,
        "moved": list(held.moved),
        "cameras": to_plain(held.calibration),
    }


def from_event(event: Mapping[str, Any]) -> Held:
    """What `to_event` wrote; ValueError says what does not fit."""
    try:
        return Held(
            t_ns=int(event["t_ns"]),
            number=int(event["number"]),
            cause=str(event["cause"]),
            moved=tuple(event["moved"]),
            calibration=from_plain(event["cameras"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"the calibration lacks or garbles {error}") from error


def calibrations(session: SessionReader) -> Iterator[Held]:
    """Every calibration of the session, in the order in which they held."""
    for event in session.events():
        if event.get("event") == EVENT_NAME:
            try:
                yield from_event(event)
            except ValueError as error:
                log.warning("calibration left out", extra={"reason": str(error)})


def cameras_file(event: Mapping[str, Any]) -> bytes:
    """The bytes of `cameras.json` for such an event."""
    plain = dict(event["cameras"]) | {name: event[name] for name in ("number", "t_ns")}
    return json.dumps(plain, indent=1).encode()


def read_cameras(path: Path) -> tuple[Calibration, int]:
    """What a `cameras.json` says, and its number; a Refusal where it says nothing."""
    try:
        plain = json.loads(path.read_text())
        return from_plain(plain), int(plain.get("number", 0))
    except OSError as error:
        raise Refusal(f"{path} cannot be read ({error.strerror}): name a {CAMERAS}.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise Refusal(f"{path} is no {CAMERAS} of a session: {error}.") from None

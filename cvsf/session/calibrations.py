"""The calibrations of a session, each valid from a time on, and the newest one as a file.

Each is an event of the session, with the number by which a skeleton refers to it.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvsf.multiview.calibration import Calibration, from_plain, to_plain
from cvsf.multiview.known_lenses import Lens, check_lenses
from cvsf.session.reader import Manifest, SessionReader
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

CAMERAS = "cameras.json"
EVENT_NAME = "calibration"
MIRRORED_PICTURES = "mirrored_pictures"
"""Key of `cameras.json`: cameras whose pictures were mirrored back before calibration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationUpdate:
    """A calibration that replaces the previous one; the hub sets number and time at first use."""

    calibration: Calibration
    cause: str  # first, better, moved, again (after all were lost), resumed or known
    moved: tuple[str, ...] = ()  # cameras recovered in a new place
    number: int = 0  # in skeletons; 1 is the first of a session
    t_ns: int = 0  # exposure of the first instant reconstructed with it, hub clock


def to_event(update: CalibrationUpdate) -> dict[str, Any]:
    """The update as a map of plain values, for the session or another process. The name of the
    event (`EVENT_NAME`) is not in it; the caller adds it.
    """
    return {
        "t_ns": update.t_ns,
        "number": update.number,
        "cause": update.cause,
        "moved": list(update.moved),
        "cameras": to_plain(update.calibration),
    }


def from_event(event: Mapping[str, Any]) -> CalibrationUpdate:
    """The update in a map that `to_event` wrote; other keys are ignored. ValueError if a key is
    missing or a value does not fit.
    """
    try:
        return CalibrationUpdate(
            t_ns=int(event["t_ns"]),
            number=int(event["number"]),
            cause=str(event["cause"]),
            moved=tuple(event["moved"]),
            calibration=from_plain(event["cameras"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"the calibration: {error} is missing or malformed") from error


def recorded_lenses(manifest: Manifest) -> dict[str, Lens]:
    """The lenses that were known when the session was recorded, by camera; Refusal if they are
    damaged.
    """
    tables = manifest.config.get("lenses") or {}
    try:
        lenses = {str(name): Lens.model_validate(table) for name, table in tables.items()}
        check_lenses(lenses)
    except (AttributeError, ValueError) as error:
        raise Refusal(f"the lenses of session {manifest.name} are damaged: {error}") from None
    return lenses


def calibrations(session: SessionReader) -> Iterator[CalibrationUpdate]:
    """Every calibration of the session, in the order of writing; one that cannot be read is logged
    and left out. The file is read as the iterator advances.
    """
    for event in session.events():
        if event.get("event") == EVENT_NAME:
            try:
                yield from_event(event)
            except ValueError as error:
                log.warning("calibration left out", extra={"reason": str(error)})


def cameras_file(event: Mapping[str, Any]) -> bytes:
    """The content of `cameras.json` for the event of a calibration, as JSON: its cameras, number
    and time. Nothing is written. KeyError if the event lacks one of them.
    """
    plain = dict(event["cameras"]) | {name: event[name] for name in ("number", "t_ns")}
    return json.dumps(plain, indent=1).encode()


def read_cameras(path: Path) -> CalibrationUpdate:
    """The calibration in the file `cameras.json` at the path, with cause "known" and time 0; its
    number is 0 if the file has none. Refusal if the file cannot be read or holds no calibration, or
    one of pictures that were mirrored back: those of a hub are not.
    """
    try:
        plain = json.loads(path.read_text())
        if mirrored := plain.get(MIRRORED_PICTURES):
            raise Refusal(
                f"{path} is of a take in which the pictures of {' and '.join(mirrored)} were "
                "mirrored. Switch mirroring off in the camera, record again, and calibrate that"
            )
        return CalibrationUpdate(
            calibration=from_plain(plain), cause="known", number=int(plain.get("number", 0))
        )
    except OSError as error:
        raise Refusal(f"{path} cannot be read ({error.strerror}): name a {CAMERAS}.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise Refusal(f"{path} is no {CAMERAS} of a session: {error}.") from None

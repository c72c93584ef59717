"""The sources that `--source` names, and the opening of one by its address.

Unknown sources are refused before anything starts.
"""

import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from capture.sources.source import Found, Source, SourceConfig
from cvsf.messages import MAX_VIEWS
from cvsf.system.errors import Refusal
from cvsf.wire import CAMERA_NAME

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """A camera's name and the address its source opens by."""

    camera: str
    uri: str


_OPENERS = {
    "v4l2": "capture.sources.v4l2:open_device",
    "rtsp": "capture.sources.rtsp:open_stream",
    "rtsps": "capture.sources.rtsp:open_stream",
    "file": "capture.sources.video_file:open_video",
    "session": "capture.sources.session_replay:open_recorded",
    "sim": "capture.simulator.simulated_camera:open_simulated",
}
_FORMS = (
    "camera numbers (0,1,2,3), devices (/dev/video0,/dev/v4l/by-id/...), names given with"
    " `cvsf cameras --name`, rtsp:// addresses, video files ('cam0*.mp4'), a session folder,"
    " or sim, sim:still, sim:moving, sim:2,3"
)


def find_sources(
    source: str | None, cams: int, names: Sequence[str] = (), *, data: Path | None = None
) -> list[SourceSpec]:
    """The first `cams` cameras that `source` names (None: the V4L2 cameras plugged in); further
    ones are only logged. Names are `names` if given, else the cameras' own where all are valid and
    differ, else cam0, cam1, ... `data` is the data folder with the names of `cvsf cameras --name`.
    Refusal if there are fewer cameras, more than 16 are asked for, one is unknown, does not answer
    or is named twice, files and live cameras are mixed, or `names` are invalid, repeated or not
    `cams` many.
    """
    if cams < 1:
        raise Refusal(f"{cams} cameras were asked for: ask for one or more with --cams.")
    if cams > MAX_VIEWS:
        raise Refusal(
            f"{cams} cameras were asked for, and a hub takes at most {MAX_VIEWS}:"
            " ask for fewer with --cams."
        )
    if names and len(names) != cams:
        raise Refusal(f"{len(names)} names were given for {cams} cameras: give one name for each.")
    found = _found(source, cams, data)
    _check(found, source, cams)
    if len(found) > cams:
        left_out = [_shown(camera) for camera in found[cams:]]
        log.info("more cameras than asked for, the first are taken", extra={"left_out": left_out})
    taken = found[:cams]
    chosen = list(names) if names else _names(taken)
    for name in chosen:
        if not CAMERA_NAME.fullmatch(name):
            raise Refusal(
                f"{name!r} is no camera name: letters, digits, '_', '-' and '.', at most 64."
            )
    if twice := _first_repeated(chosen):
        raise Refusal(f"two cameras are named {twice!r}: a name is given once.")
    return [SourceSpec(camera=c, uri=f.uri) for c, f in zip(chosen, taken, strict=True)]


def open_source(uri: str, config: SourceConfig) -> Source:
    """Open and return the source at `uri`, an address as `find_sources` gives it; the caller closes
    it. Refusal if its scheme is unknown or it cannot be opened. A source that dies later raises
    SourceLost from `read`.
    """
    scheme = uri.partition(":")[0]
    if scheme not in _OPENERS:
        raise Refusal(
            f"{uri!r} is no source: expected one of {', '.join(_OPENERS)} before the ':'."
        )
    module, _, function = _OPENERS[scheme].partition(":")
    opener = getattr(importlib.import_module(module), function)
    if scheme == "sim":
        from capture.simulator.scenario import read_address

        return cast(Source, opener(read_address(uri), config))
    return cast(Source, opener(uri, config))


def _found(source: str | None, cams: int, data: Path | None) -> list[Found]:
    """Every camera that the text names, in its order."""
    from capture.simulator import scenario
    from capture.sources import rtsp, v4l2_devices, video_file

    if source is None:
        return v4l2_devices.find_all(data)
    if source == "sim" or source.startswith(("sim:", "sim?")):
        return scenario.find(source, cams)
    is_one = bool(source) and Path(source).expanduser().exists()
    parts = [source] if is_one else [part.strip() for part in source.split(",")]
    found: list[Found] = []
    for part in parts:
        path = Path(part).expanduser()
        if part.startswith(("rtsp://", "rtsps://")):
            found += rtsp.find(part)
        elif part.isdecimal() or part.startswith("/dev/"):
            found += v4l2_devices.find(part, data)
        elif (part and path.is_dir()) or path.name == "session.json":
            from capture.sources import session_replay

            found += session_replay.find(path)
        elif path.is_file() or any(letter in part for letter in "*?["):
            found += video_file.find(part)
        else:
            found += _named(part, data)
    return found


def _named(part: str, data: Path | None) -> list[Found]:
    """The camera with the name that `cvsf cameras --name` gave it."""
    from capture.sources import rtsp, v4l2_devices

    named = v4l2_devices.read_names(data)
    if part not in named:
        known = f" (names known: {', '.join(sorted(named))})" if named else ""
        is_file = ("/" in part or "." in part) and "://" not in part
        reason = "no such file" if is_file else "unknown source"
        raise Refusal(f"{part!r}: {reason}{known}; expected {_FORMS}.")
    address = named[part]
    find = rtsp.find(address) if "://" in address else v4l2_devices.find(address, data)
    return [Found(uri=camera.uri, name=part) for camera in find]


def _check(found: list[Found], source: str | None, cams: int) -> None:
    if twice := _first_repeated([camera.uri for camera in found]):
        raise Refusal(f"{twice} is named twice in --source: name every camera once.")
    kinds = {"recorded" if c.uri.startswith(("file:", "session:")) else "live" for c in found}
    if len(kinds) > 1:
        raise Refusal(f"{source!r} mixes files with live cameras: give either, not both.")
    if len(found) < cams:
        listed = ", ".join(_shown(camera) for camera in found)
        raise Refusal(
            f"{len(found)} camera{'s' * (len(found) != 1)} where {cams} were asked for ({listed}):"
            f" name more with --source, or ask for --cams {len(found)}."
        )


def _shown(camera: Found) -> str:
    return camera.name or camera.uri.partition(":")[2]


def _names(found: list[Found]) -> list[str]:
    """The cameras' own names where they have one and all differ, else cam0, cam1, ..."""
    numbered = [f"cam{i}" for i in range(len(found))]
    own = [camera.name or number for camera, number in zip(found, numbered, strict=True)]
    usable = all(CAMERA_NAME.fullmatch(name) for name in own) and _first_repeated(own) is None
    return own if usable else numbered


def _first_repeated(texts: Sequence[str]) -> str | None:
    return next((text for i, text in enumerate(texts) if text in texts[:i]), None)

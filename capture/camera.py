"""What a camera is to the rest: a source of exposures, found by what the user typed and opened by its address.

Finding refuses with a sentence before anything starts; once open, a source only ends or is lost.
"""

import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cvsf.refusal import Refusal

log = logging.getLogger(__name__)

Pace = Literal["live", "lossless"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One picture and the moment it was taken, on the clock of the machine that took it."""

    jpeg: bytes
    width_px: int
    height_px: int
    raw_ns: int  # middle of the exposure, CLOCK_MONOTONIC; media time where stamp is "media"
    uncertainty_ns: int  # half width of what raw_ns may be off by
    stamp: str  # how raw_ns was obtained: sensor, kernel, rtcp, media, simulated, arrival
    missed: int = 0  # exposures lost inside the source since the one before this
    trigger: int | None = None  # number of the common trigger, where the source has one


class SourceEnded(Exception):
    """The file or session has no further exposure."""


class SourceLost(Exception):
    """The camera died; opening it again may help."""


class Source(Protocol):
    """One open camera."""

    @property
    def pace(self) -> Pace: ...  # live drops to newest; lossless waits for whoever reads

    @property
    def width_px(self) -> int: ...

    @property
    def height_px(self) -> int: ...

    @property
    def fps(self) -> float: ...

    def read(self, timeout_s: float) -> Exposure | None:
        """The next exposure, None when there was none in time; SourceEnded or SourceLost."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """A camera's name and the address its source opens by."""

    camera: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """What may be asked of a source; one that cannot comply delivers what it has."""

    size: tuple[int, int] | None = None  # width, height
    fps: float | None = None
    seed: int = 0  # of the simulator
    realtime: bool = False  # files and sessions at their own rate, late frames dropped
    truth: Path | None = None  # where the simulator writes what really happened
    jpeg_quality: int = 85  # where a picture has to be encoded here


def find_sources(
    source: str | None, cams: int, names: Sequence[str] = (), *, data: Path | None = None
) -> list[SourceSpec]:
    """The `cams` cameras that `source` names; a Refusal says what was found instead."""
    raise NotImplementedError


def open_source(uri: str, config: SourceConfig) -> Source:
    """The source at `uri`: a Refusal when it cannot be opened, SourceLost when it dies later."""
    raise NotImplementedError

"""The interface of a camera: a source of exposures, and its options.

Once open, a source only ends or is lost.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from cvsf.system.errors import Refusal

Pace = Literal["live", "lossless"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One picture and the moment it was taken, on the clock of the machine that took it."""

    jpeg: bytes
    width_px: int
    height_px: int
    raw_ns: int  # middle of the exposure, CLOCK_MONOTONIC; media time where stamp is "media"
    uncertainty_ns: int  # half width of the error of raw_ns
    stamp: str  # how raw_ns was obtained: sensor, kernel, rtcp, media, simulated, arrival
    missed: int = 0  # exposures lost inside the source since the one before this
    trigger: int | None = None  # number of the common trigger, where the source has one


class SourceEnded(Exception):
    """The file or session has no further exposure."""


class SourceLost(Exception):
    """The camera died; opening it again may help."""


@runtime_checkable
class Source(Protocol):
    """One open camera."""

    @property
    def pace(self) -> Pace:
        """`live` drops all but the newest picture; `lossless` waits for the reader."""
        ...

    @property
    def width_px(self) -> int:
        """Width of the pictures."""
        ...

    @property
    def height_px(self) -> int:
        """Height of the pictures."""
        ...

    @property
    def fps(self) -> float:
        """Pictures a second, as the source states it."""
        ...

    def read(self, timeout_s: float) -> Exposure | None:
        """The next exposure, of a live source the newest one; blocks `timeout_s` at most, then
        None.

        SourceEnded after the last one of a file or session, SourceLost when the camera is gone.
        """
        ...

    def close(self) -> None:
        """Close the source."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Options of a source; one that cannot comply delivers what it has."""

    size: tuple[int, int] | None = None  # width, height
    fps: float | None = None
    seed: int = 0  # of the simulator
    realtime: bool = False  # files and sessions at their own rate, late frames dropped
    truth: Path | None = None  # file for the simulator's ground truth
    jpeg_quality: int = 85  # where a picture has to be encoded here
    start_ns: int | None = (
        None  # CLOCK_MONOTONIC of media time 0 under realtime; None is at opening
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The address of a camera, and its name where it has one."""

    uri: str
    name: str | None = None


def parse_size(text: str | None) -> tuple[int, int] | None:
    """(width, height) in px from a text such as 1280x720; None for None. Refusal for other text, or
    a side under 16 px.
    """
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) >= 16 and int(height) >= 16):
        raise Refusal(f"size is {text!r}, expected WIDTHxHEIGHT in pixels, such as 1280x720")
    return int(width), int(height)

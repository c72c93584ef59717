"""One run of one camera's node as the hub knows it, and what became of each of its frames.

A frame's fate is counted once and in order, when nothing can change it any more: it is on disk, or
it never will be.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cvsf.session import Manifest
from cvsf.tally import Source

RECORDED, NOT_KEPT = "recorded", "not kept"
_MOST_PIXELS = 1 << 25
_MOST_HZ = 1000


@dataclass(slots=True)
class Link:
    """Belongs to the receiver's thread, but for `on_disk` and `taken`, which others write."""

    camera: str
    boot_id: str
    address: bytes
    report: dict[str, Any]
    width_px: int
    height_px: int
    fps: float
    lossless: bool
    in_step: bool
    heard_s: float
    exposed_before: int = 0  # what another session has of this run
    dropped_before: Counter[str] = field(default_factory=Counter)
    received: int = -1
    durable: int = -1  # everything up to here is on disk, or known never to be
    taken: int = -1
    on_disk: int = -1
    pending: deque[tuple[int, str]] = field(default_factory=deque)  # seq, what will become of it
    fates: Counter[str] = field(default_factory=Counter)  # of frames up to `durable`
    frames: int = 0
    repeated: int = 0
    out_of_order: int = 0
    ended: bool = False
    gone: bool = False
    told: tuple[int, int, int] = (-2, -2, -2)
    told_s: float = 0.0
    last_trigger: int = -1
    stop_reason: str | None = None  # told to the node until it ends

    def settle(self) -> None:
        """Count the frames whose fate is known by now."""
        while self.pending and (
            self.pending[0][1] != RECORDED or self.pending[0][0] <= self.on_disk
        ):
            self.durable, fate = self.pending.popleft()
            self.fates[fate] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisk:
    """What a session holds of one run of a node when the hub opens it."""

    last: int  # seq
    frames: int


def meet(address: bytes, report: dict[str, Any], known: OnDisk | None) -> Link:
    """The link of a run heard for the first time; ValueError says why such a camera cannot be.

    A restarted hub goes on counting where the disk and the node say that the killed one was.
    """
    width_px, height_px, fps = int(report["width_px"]), int(report["height_px"]), report["fps"]
    if min(width_px, height_px) < 1 or width_px * height_px > _MOST_PIXELS:
        raise ValueError(
            f"its pictures are {width_px}x{height_px}, expected at most {_MOST_PIXELS} pixels"
        )
    if not (isinstance(fps, int | float) and math.isfinite(fps) and 0 < fps <= _MOST_HZ):
        raise ValueError(f"it takes {fps} pictures a second, expected up to {_MOST_HZ}")
    link = Link(
        camera=str(report["camera"]),
        boot_id=str(report["boot_id"]),
        address=address,
        report=report,
        width_px=width_px,
        height_px=height_px,
        fps=max(float(fps), 0.1),
        lossless=report["pace"] == "lossless",
        in_step=bool(report.get("in_step")),
        heard_s=time.monotonic(),
    )
    if known:
        link.received = link.durable = link.taken = link.on_disk = known.last
        link.fates = counted(report.get("fates"))
        link.fates[RECORDED] = known.frames
    elif report.get("acknowledged"):
        link.exposed_before = int(report["exposed"]) - int(report["in_ring"])
        link.dropped_before = counted(report.get("dropped"))
        report["fates"] = {}  # that session's
    return link


def found_on_disk(manifest: Manifest) -> dict[Source, OnDisk]:
    """What a session that is continued holds already."""
    found: dict[Source, OnDisk] = {}
    for segment in manifest.segments:
        for camera, ranges in segment.ranges.items():
            for run in ranges:
                before = found.get((camera, run.boot_id), OnDisk(last=-1, frames=0))
                found[camera, run.boot_id] = OnDisk(
                    last=max(before.last, run.last), frames=before.frames + run.frames
                )
    return found


def counted(told: object) -> Counter[str]:
    """Numbers by reason, as a node says them."""
    return Counter({str(k): int(n) for k, n in told.items()} if isinstance(told, Mapping) else {})

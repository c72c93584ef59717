"""The connection to one run of a camera's node, and the fates of its frames.

The fate of a frame is counted once and in order, as soon as it is final.
"""

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cvsf.session.reader import Manifest
from cvsf.session.statistics import Source
from cvsf.wire import CAMERA_NAME

RECORDED, NOT_KEPT = "recorded", "not kept"
_MOST_PIXELS = 1 << 25
"""Of one picture: 33 megapixels, four times 4K; a guess, not measured."""
_MOST_HZ = 1000
"""Pictures a second of one camera; a guess, not measured."""
_MOST = 1 << 53
"""The largest count: every JSON reader can represent it exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A node's own count of its exposures."""

    exposed: int = 0
    acknowledged: int = 0
    in_ring: int = 0
    clock_error_ns: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)  # of the last ack
    state: str = ""


def read_report(header: Mapping[str, Any]) -> Report:
    """The report in a node's message; what the message lacks is 0 or empty.

    ValueError or TypeError for a count that is no whole number from 0 to 2^53.
    """
    names = ("exposed", "acknowledged", "in_ring", "clock_error_ns")
    return Report(
        **{name: whole(header.get(name, 0)) for name in names},
        dropped=_counted(header.get("dropped", {})),
        fates=_counted(header.get("fates", {})),
        state=str(header.get("state", "")),
    )


def _counted(counts: Mapping[str, object]) -> Counter[str]:
    return Counter({str(reason): whole(number) for reason, number in dict(counts).items()})


def whole(number: object, least: int = 0) -> int:
    """The number itself; ValueError unless it is an int (no bool or float) from `least` to 2^53."""
    if type(number) is not int or not least <= number <= _MOST:
        raise ValueError(f"{number!r} is no whole number from {least}")
    return number


@dataclass(slots=True)
class Link:
    """One run of a node. Only its methods write, on the receiver's thread; any thread may read."""

    camera: str
    boot_id: str
    address: bytes
    report: Report
    width_px: int
    height_px: int
    fps: float
    lossless: bool
    in_step: bool
    last_message_s: float  # monotonic, of the last message
    exposed_before: int = 0  # exposures of this run in another session
    dropped_before: Counter[str] = field(default_factory=Counter)
    received: int = -1
    durable: int = -1  # the fates of all frames up to here are final
    taken: int = -1  # all frames up to here are processed or left out
    on_disk: int = -1
    pending: deque[tuple[int, str]] = field(default_factory=deque)  # seq and expected fate
    fates: Counter[str] = field(default_factory=Counter)  # of frames up to `durable`
    frames: int = 0
    repeated: int = 0
    out_of_order: int = 0
    ended: bool = False
    gone: bool = False
    acknowledged: tuple[int, int, int] = (-2, -2, -2)  # received, durable, taken in the last ack
    acknowledged_s: float = 0.0
    last_trigger: int = -1
    stop_reason: str | None = None  # sent to the node until it ends

    @property
    def progress(self) -> tuple[int, int, int]:
        """(received, durable, taken): the highest seq of each kind, as an ack has them."""
        return self.received, self.durable, self.taken

    def note_message(self, address: bytes, report: Report | None = None) -> None:
        """Note that the node sent a message now, from this ZeroMQ address.

        Without a report in it, the last one stays.
        """
        self.address, self.last_message_s = address, time.monotonic()
        self.report = report or self.report

    def reopen(self) -> None:
        """Note that the node, which had ended, sends again."""
        self.gone = False

    def leave(self, *, ended: bool) -> None:
        """Note that the node ends: with its source (`ended`), or because it was stopped.

        Later messages of the same run do not undo it; `reopen` does.
        """
        self.gone, self.ended = True, ended

    def is_next(self, seq: int, after: int) -> bool:
        """Whether the frame `seq` is new and no frame before it is missing.

        `after` is the seq of the frame that the node sent before it, -1 for none. A repeated frame,
        and one out of order, is counted here. The link does not take the frame: call `take_in`.
        """
        if seq <= self.received:
            self.repeated += 1
            return False
        if after > self.received:
            self.out_of_order += 1  # earlier frames are missing, and are sent again
            return False
        return True

    def take_in(self, seq: int, fate: str) -> None:
        """Note a received frame, the next in order, and its expected fate: `recorded`, `not kept`,
        or why it was refused.

        The fate is counted later, by `count_fates`.
        """
        self.frames += 1
        self.pending.append((seq, fate))
        self.received = seq

    def play(self, trigger: int) -> None:
        """Note the trigger number of the newest received frame."""
        self.last_trigger = trigger

    def process(self, seq: int) -> None:
        """Note that all frames up to `seq` are processed; a lower number than before changes
        nothing.

        The next ack tells the node, and a lossless source may send another frame.
        """
        self.taken = max(self.taken, seq)

    def store(self, seq: int) -> None:
        """Note that all recorded frames up to `seq` are durable on disk."""
        self.on_disk = seq

    def stop(self, reason: str) -> None:
        """Have the node stop: `reason` is sent to it with the acks until it ends.

        All of its received frames count as processed.
        """
        self.stop_reason, self.taken = reason, self.received

    def acknowledge(self) -> None:
        """Note that an ack with the present progress is sent now."""
        self.acknowledged, self.acknowledged_s = self.progress, time.monotonic()

    def count_fates(self) -> None:
        """Count in `fates` the frames whose fate is final, in order, and advance `durable` to the
        last.

        Final are frames that are not recorded, and recorded ones once they are on disk. It ends at
        the first frame that is not final.
        """
        while self.pending and (
            self.pending[0][1] != RECORDED or self.pending[0][0] <= self.on_disk
        ):
            self.durable, fate = self.pending.popleft()
            self.fates[fate] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisk:
    """The frames of one run of a node that a continued session has already."""

    last: int  # seq
    frames: int


def open_link(address: bytes, header: Mapping[str, Any], known: OnDisk | None) -> Link:
    """The link of a new run, from its first message; `known` is what the disk has of that run.

    With `known` the counts continue behind the frames on disk; a run that another session has
    acknowledged is counted from now on only. ValueError, KeyError or TypeError for an impossible
    name, size, rate or count, and for a missing key.
    """
    camera, boot_id, fps = header["camera"], header["boot_id"], float(header["fps"])
    width_px, height_px = whole(header["width_px"], 1), whole(header["height_px"], 1)
    if not (isinstance(boot_id, str) and isinstance(camera, str) and CAMERA_NAME.fullmatch(camera)):
        raise ValueError(f"its name is {camera!r}, expected letters, digits, '_', '-' and '.'")
    if width_px * height_px > _MOST_PIXELS:
        raise ValueError(
            f"its pictures are {width_px}x{height_px}, expected at most {_MOST_PIXELS} pixels"
        )
    if not 0 < fps <= _MOST_HZ:
        raise ValueError(f"it takes {fps:g} pictures a second, expected up to {_MOST_HZ}")
    report = read_report(header)
    link = Link(
        camera=camera,
        boot_id=boot_id,
        address=address,
        report=report,
        width_px=width_px,
        height_px=height_px,
        fps=max(fps, 0.1),
        lossless=header["pace"] == "lossless",
        in_step=bool(header.get("in_step")),
        last_message_s=time.monotonic(),
    )
    if known:
        link.received = link.durable = link.taken = link.on_disk = known.last
        link.fates = report.fates.copy()
        link.fates[RECORDED] = known.frames
    elif report.acknowledged:  # acknowledged by the hub of another session
        link.exposed_before = report.exposed - report.in_ring
        link.dropped_before = report.dropped
        link.report = replace(report, fates=Counter())
    return link


def found_on_disk(manifest: Manifest) -> dict[Source, OnDisk]:
    """The last seq and the number of frames of each run in a session that is continued.

    The frames are summed over all segments of the manifest; empty if there are none.
    """
    found: dict[Source, OnDisk] = {}
    for segment in manifest.segments:
        for camera, ranges in segment.ranges.items():
            for run in ranges:
                before = found.get((camera, run.boot_id), OnDisk(last=-1, frames=0))
                found[camera, run.boot_id] = OnDisk(
                    last=max(before.last, run.last), frames=before.frames + run.frames
                )
    return found

"""Statistics of a segment, counted while it is written or recovered: frames, gaps, time and clocks.

A missing frame is a gap with its numbers, not only a smaller count.
"""

import copy
from collections.abc import Mapping
from typing import Any

from cvsf.messages import Frame, Instant, MultiviewPose, Skeleton
from cvsf.session.reader import CameraSync, FrameRange, SegmentRecord

_GAPS_KEPT = 1000  # by their numbers; a guess, not measured

Recordable = Frame | Instant | MultiviewPose | Skeleton
Source = tuple[str, str]
"""Camera and boot_id: within one, seq only grows."""


class Tally:
    """The statistics of one segment; `last` is each source's highest seq before it."""

    def __init__(self, last: Mapping[Source, int]) -> None:
        self.last = dict(last)
        self.ranges: dict[Source, FrameRange] = {}
        self.sync: dict[str, CameraSync] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.engines: set[str] = set()
        self.detectors: set[str] = set()
        self.joint_sets: set[str] = set()
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.last_instant = -1

    def copy(self) -> "Tally":
        """A copy, also of its ranges and `sync` values; later messages of one do not change the
        other.
        """
        return copy.deepcopy(self)

    def count(self, message: Recordable) -> None:
        """Count one message of the segment: its time in all cases, and by kind the frame's seq and
        gaps, the highest index of an instant, the engine, or detector and joint set.
        """
        self.first_ns = message.t_ns if self.first_ns is None else min(self.first_ns, message.t_ns)
        self.last_ns = message.t_ns if self.last_ns is None else max(self.last_ns, message.t_ns)
        if isinstance(message, Frame):
            self._count_frame(message)
        elif isinstance(message, Instant):
            self.last_instant = max(self.last_instant, message.index)
        elif isinstance(message, Skeleton):
            self.engines.add(message.engine)
        elif isinstance(message, MultiviewPose):
            self.detectors.add(message.detector)
            self.joint_sets.add(message.joint_set)

    def _count_frame(self, frame: Frame) -> None:
        source = (frame.camera, frame.boot_id)
        self.sizes[frame.camera] = (frame.width_px, frame.height_px)
        found = self.ranges.get(source)
        if found is None:
            found = FrameRange(boot_id=frame.boot_id, first=frame.seq, last=frame.seq)
            self.ranges[source] = found
        previous = self.last.get(source)
        if previous is not None and frame.seq > previous + 1:
            found.missing += frame.seq - previous - 1
            if len(found.gaps) < _GAPS_KEPT:
                found.gaps.append((previous + 1, frame.seq - 1))
        found.last = self.last[source] = frame.seq
        found.frames += 1
        sync = self.sync.setdefault(frame.camera, CameraSync())
        sync.worst_uncertainty_ns = max(sync.worst_uncertainty_ns, frame.uncertainty_ns)
        sync.epoch = frame.sync_epoch
        sync.stamp = frame.stamp

    def record(self, **given: Any) -> SegmentRecord:
        """The segment's entry for the manifest from the counted messages; `given` sets its other
        fields, of which `file` is required (pydantic's ValidationError without). Times are
        exposures in ns of the hub's clock; without messages they are None and `last_instant` -1.

        Nothing is written. The entry shares its ranges and `sync` values with the tally: messages
        counted later change them.
        """
        ranges: dict[str, list[FrameRange]] = {}
        for (camera, _), found in self.ranges.items():
            ranges.setdefault(camera, []).append(found)
        return SegmentRecord(
            ranges=ranges,
            sync=self.sync,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            last_instant=self.last_instant,
            **given,
        )

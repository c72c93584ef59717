"""The writer of a session: messages in, sealed segments out; `durable` has the frames on the disk.

A message is held in memory until it is durable, so a failed file loses nothing: it is sealed as of
its last sync, and later messages are written again, to a new file.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cvsf.messages import Frame, pack, to_header
from cvsf.session.calibrations import EVENT_NAME, cameras_file
from cvsf.session.folder import SessionFolder
from cvsf.session.mcap_records import EVENT, TOPIC_OF
from cvsf.session.reader import Manifest, Mode
from cvsf.session.recovery import last_seqs
from cvsf.session.segment import Mark, SegmentWriter
from cvsf.session.statistics import Recordable, Source, Tally
from cvsf.system.disk import Storage

log = logging.getLogger(__name__)

_SMALL_BYTES = 2048
"""Assumed memory of a message without a picture; a guess, not measured."""

_Held = tuple[Recordable | None, bytes]
"""A message, or the bytes of an event."""


class SessionWriter:
    """A session being recorded; `sync` may be called on another thread, all else on one thread."""

    def __init__(
        self,
        folder: Path,
        *,
        recording: Mode = "frames",
        config: Mapping[str, Any] | None = None,
        joint_set: str = "",
        storage: Storage | None = None,
        segment_s: float = 60.0,
        segment_bytes: int = 2 << 30,
    ) -> None:
        self.folder = folder
        self.held_bytes = 0  # of messages that are not durable yet
        self._storage = storage or Storage()
        self._segment_s, self._segment_bytes = segment_s, segment_bytes
        self._files = threading.RLock()  # while a file is synced, sealed or replaced
        self._state = threading.RLock()  # while a message is written; locked after _files
        self._segment: SegmentWriter | None = None
        self._opened_s = 0.0
        self._tally = Tally({})
        self._good: tuple[Mark, Tally] | None = None  # of the current file, at its last sync
        self._held: deque[_Held] = deque()
        self._failed: OSError | None = None
        self._folder = SessionFolder(
            folder, self._storage, recording=recording, config=config or {}, joint_set=joint_set
        )
        self.durable: dict[Source, int] = last_seqs(self._folder.manifest)
        self._written = dict(self.durable)

    @property
    def manifest(self) -> Manifest:
        """The manifest of the session as it is now: the object itself, which later segments change.
        The segment being written is not in it.
        """
        return self._folder.manifest

    @property
    def failed(self) -> OSError | None:
        """The error of the disk since which messages are only held in memory; None while writing
        succeeds.
        """
        return self._failed

    def write(self, message: Recordable) -> None:
        """Write a message to the current segment; at its limits of age or size that one is sealed
        first, which waits for the disk. The message is held in memory until it is durable, in any
        case. After an error of the disk all held messages are written to a new file; OSError if
        that fails too, and at each later call until `retry` succeeds.
        """
        self._hold((message, b""))

    def write_event(self, event: Mapping[str, Any]) -> None:
        """Write an event, a map with its name under `event`; `t_ns` is the system's time now, in
        ns, if the map has none. For a calibration `cameras.json` is replaced first. OSError and
        holding in memory as with `write`.
        """
        if event.get("event") == EVENT_NAME:
            self._folder.write_cameras(cameras_file(event))
        self._hold((None, pack({"t_ns": time.time_ns(), **event})))

    def retry(self) -> None:
        """After an error of the disk, write all held messages to a new file; without one, do
        nothing. OSError if the disk still fails; the messages stay held.
        """
        with self._files, self._state:
            if self._failed is not None:
                self._start_over(self._failed)

    def sync(self) -> None:
        """Wait until all messages written before the call are durable, then drop them from memory
        and update `durable`. Does nothing after a disk error, or if no message is held. If the disk
        fails, the held messages are written to a new file, durable at the next `sync`; OSError only
        if that fails too.
        """
        with self._files:
            with self._state:
                if self._failed is not None or self._segment is None or not self._held:
                    return
                segment, count, written = self._segment, len(self._held), dict(self._written)
                try:
                    segment.flush()
                except OSError as error:
                    return self._start_over(error)
                mark = (segment.mark(), self._tally.copy())
            try:
                segment.sync()
            except OSError as error:
                with self._state:
                    return self._start_over(error, sync_failed=True)
            with self._state:
                self._good = mark
                self._release(count, written)

    def seal(self, reason: str) -> None:
        """Seal the current segment and wait until it is durable; `reason` goes into the manifest.
        The next message begins a new segment; without an open one nothing happens. If the disk
        fails, the held messages go to a new file, which is sealed; OSError if that fails too.
        """
        with self._files, self._state:
            self.retry()
            try:
                self._seal(reason)
            except OSError as error:
                self._start_over(error)
                self._seal(reason)

    def close(self) -> int:
        """Seal the session and unlock its folder; returns the number of messages that are not on
        the disk. An error of the disk is logged, not raised. A session without messages leaves no
        folder.
        """
        with self._files, self._state:
            try:
                self.seal("closed")
            except OSError as error:
                log.error("last segment not sealed", extra={"reason": str(error)})
                self._abandon(sync_failed=False)
            self._folder.close()
            return len(self._held)

    def _hold(self, entry: _Held) -> None:
        with self._state:
            due = self._due()
        if due:
            with suppress(OSError):  # below, the message is held and the error raised
                self.seal("rotation")
        with self._state:
            self._held.append(entry)
            self.held_bytes += size_bytes(entry[0])
            if self._failed is not None:
                raise self._failed
            try:
                return self._write(entry)
            except OSError as error:
                self._failed = error
        self.retry()

    def _due(self) -> bool:
        if self._segment is None or self._failed is not None:
            return False
        old = time.monotonic() - self._opened_s >= self._segment_s
        return old or self._segment.offset >= self._segment_bytes

    def _write(self, entry: _Held) -> None:
        segment = self._segment or self._open()
        message, event = entry
        if message is None:
            segment.add(EVENT, time.time_ns(), event)
            return
        header = pack(to_header(message))
        if isinstance(message, Frame):
            segment.add_frame(message.camera, message.seq, message.t_ns, header, message.jpeg)
            self._written[message.camera, message.boot_id] = message.seq
        else:
            segment.add(TOPIC_OF[message.kind], message.t_ns, header)
        self._tally.count(message)

    def _open(self) -> SegmentWriter:
        part, about = self._folder.next_part()
        self._good, self._tally = None, Tally(self.durable)
        self._segment = SegmentWriter(self._storage, part, about)
        self._opened_s = time.monotonic()
        self._segment.add(EVENT, time.time_ns(), _event("segment_start", file=part.stem))
        self._storage.sync_folder(self.folder)  # else a power cut could lose the file after acks
        return self._segment

    def _seal(self, reason: str) -> None:
        """Seal the current file, if there is one, with all its messages."""
        segment = self._segment
        if segment is None:
            return
        written = dict(self._written)
        self._finish(segment, self._tally, reason)
        self._release(len(self._held), written)

    def _finish(self, segment: SegmentWriter, tally: Tally, reason: str) -> None:
        segment.add(EVENT, time.time_ns(), _event("segment_end", reason=reason))
        segment.finish()
        final = segment.path.with_suffix("")
        self._storage.rename(segment.path, final)
        self._segment = None
        with suppress(OSError):  # recovery finds the file under either name
            self._storage.sync_folder(self.folder)
        with suppress(OSError):
            segment.close()
        record = tally.record(
            file=final.name,
            sha256=segment.sha256,
            bytes=segment.offset,
            counts=segment.counts,
            sealed=True,
            ended=reason,
        )
        self._folder.note(record, tally)

    def _start_over(self, error: OSError, *, sync_failed: bool = False) -> None:
        """Abandon the current file; write the held messages to a new one; OSError if that fails."""
        log.warning("disk error, segment ended", extra={"reason": str(error)})
        self._failed = error
        self._folder.release_reserve()
        self._abandon(sync_failed=sync_failed)
        self._written = dict(self.durable)
        try:
            for entry in self._held:
                self._write(entry)
        except OSError as again:
            self._failed = again
            self._abandon(sync_failed=False)
            raise
        self._failed = None
        self._folder.reserve()

    def _abandon(self, *, sync_failed: bool) -> None:
        """Seal the current file as of its last sync; after a failed sync, a copy of it."""
        segment, good = self._segment, self._good
        self._segment, self._good = None, None
        if segment is None:
            return
        if good is None:
            with suppress(OSError):
                segment.close()
                self._storage.remove(segment.path)
            return
        mark, tally = good
        try:
            segment.rewind(mark)  # later messages are written again
            if not sync_failed:
                return self._finish(segment, tally, "disk error")
        except OSError as error:
            log.warning("segment not sealed in place", extra={"reason": str(error)})
        with suppress(OSError):
            segment.close()
        self._folder.recover_part(segment.path, tally, mark.offset)

    def _release(self, count: int, written: Mapping[Source, int]) -> None:
        """Drop the oldest `count` held messages, which are durable."""
        for _ in range(count):
            self.held_bytes -= size_bytes(self._held.popleft()[0])
        self.durable = {**self.durable, **written}


def size_bytes(message: Recordable | None) -> int:
    """Assumed memory of a message until it is durable, in bytes: the JPEG of a frame, else 2048.
    None stands for an event.
    """
    return len(message.jpeg) if isinstance(message, Frame) else _SMALL_BYTES


def _event(event: str, **fields: str) -> bytes:
    return pack({"event": event, "t_ns": time.time_ns(), **fields})

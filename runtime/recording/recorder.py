"""The recorder: two threads write the hub's messages to the disk.

The hub never waits: messages that cannot be recorded are refused at once and counted by reason.
"""

import itertools
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from errno import errorcode
from pathlib import Path
from typing import Any

from cvsf.hub_config import HubConfig
from cvsf.messages import Frame
from cvsf.session.calibrations import EVENT_NAME, CalibrationUpdate, to_event
from cvsf.session.reader import MANIFEST
from cvsf.session.statistics import Recordable, Source
from cvsf.session.writer import SessionWriter, size_bytes
from cvsf.system.disk import Storage
from cvsf.system.errors import Refusal
from runtime.ingest.camera_connection import OnDisk, found_on_disk
from runtime.recording.disk_space import DiskSpace
from runtime.stats import RecordingStats

log = logging.getLogger(__name__)

_RETRY_S = 1.0
"""Between two tries after a disk error; a guess, not measured."""
_GATHER_S = 0.02
"""Messages of an instant are written together; a guess, below `sync_s`, not measured."""
_SPACE_PERIOD_S = 1.0
"""Between two reads of the free space; a guess, not measured."""
_GB = 1e9

OnDurable = Callable[[dict[Source, int]], None]


@dataclass(frozen=True, slots=True)
class _Seal:
    """An entry of the queue at which the current segment ends."""

    reason: str


_Entry = Recordable | Mapping[str, Any] | _Seal


class Recorder:
    """One session's recording; any thread may call, and only `close` waits for the disk."""

    def __init__(
        self,
        session: Path,
        config: HubConfig,
        *,
        on_durable: OnDurable | None = None,
        storage: Storage | None = None,
        min_free_bytes: int = 5_000_000_000,
        queue_bytes: int = 128 << 20,
        sync_s: float = 0.15,
        segment_s: float = 60.0,
    ) -> None:
        self.on_durable = on_durable  # called on the sync thread
        self.recorded: Counter[str] = Counter()  # given to the disk, by kind
        self.dropped: Counter[str] = Counter()  # frames to be recorded that are not, by reason
        self.dropped_others: Counter[str] = Counter()  # the same for instants, poses, skeletons
        self.lost = 0  # queued messages that were not written; known after `close`
        self.folder = session if config.record != "none" else None
        self._mode, self._storage = config.record, storage or Storage()
        self._queue_limit, self._sync_s = queue_bytes, sync_s
        self._space = DiskSpace(self._storage, min_free_bytes)
        self._queue: deque[_Entry] = deque()
        self._queued_bytes = self._taken_bytes = 0
        self._change = threading.Condition()
        self._closing = threading.Event()
        self._halts: dict[str, str] = {}  # why nothing is taken: {cause: reason}
        self._cameras_due: CalibrationUpdate | None = None  # found while nothing was taken
        self._published: dict[Source, int] = {}
        self._writer: SessionWriter | None = None
        self._threads: list[threading.Thread] = []
        self.resume: dict[Source, OnDisk] = {}
        first = 0
        if self.folder is not None:
            self._writer = writer = self._open(self.folder, config, segment_s)
            self.resume = found_on_disk(writer.manifest)
            self._published = dict(writer.durable)
            first = 1 + max((s.last_instant for s in writer.manifest.segments), default=-1)
            self._threads = [
                threading.Thread(target=run, args=(writer,), name=name, daemon=True)
                for name, run in (("record", self._write), ("record-sync", self._sync))
            ]
        self._instants = itertools.count(first)
        for thread in self._threads:
            thread.start()

    def put(self, message: Recordable) -> bool:
        """Queue a message for the disk; never blocks. False if this kind is not asked for (not
        counted), or recording is halted or the queue full (counted by reason).
        """
        frame = isinstance(message, Frame)
        if self._writer is None or (frame and self._mode != "frames"):
            return False
        size = size_bytes(message)
        with self._change:
            full = self._queued_bytes + self._writer.held_bytes + size > self._queue_limit
            if reason := next(iter(self._halts.values()), "queue full" if full else None):
                (self.dropped if frame else self.dropped_others)[reason] += 1
                return False
            self._queue.append(message)
            self._queued_bytes += size
            self._taken_bytes += size
            self._change.notify_all()
        return True

    def put_event(self, event: str, **fields: Any) -> None:
        """Queue another event, also while recording is halted; without a session do nothing."""
        if self._writer is not None:
            with self._change:
                self._queue.append({"event": event, **fields})
                self._change.notify_all()

    def put_calibration(self, held: CalibrationUpdate) -> None:
        """Queue a calibration; while recording is halted, the newest is kept until it continues."""
        with self._change:
            if self._halts:
                self._cameras_due = held
                return
        self.put_event(EVENT_NAME, **to_event(held))

    def next_instant(self) -> int:
        """The next instant's number, one more each call; behind the recording after a restart."""
        return next(self._instants)

    def pause(self) -> None:
        """Queue nothing more; the current segment is sealed after what is queued. Does not wait."""
        self._halt("pause", "paused")

    def resume_recording(self) -> None:
        """Undo `pause`: record into a new segment, unless something else halts recording."""
        self._unhalt("pause")

    @property
    def recording(self) -> bool:
        """Whether messages are recorded now: there is a session, and nothing halts it."""
        return self._writer is not None and not self._halts and not self._closing.is_set()

    def free_recording_s(self, rate_bytes_s: float | None = None) -> float | None:
        """How long (s) recording may go on at a rate, or at the present one; None if unknown."""
        return self._space.lasts_s(rate_bytes_s)

    def stats(self) -> RecordingStats:
        """Folder, counts and disk space, as copies; without a session `session` is None."""
        if self._writer is None:
            return RecordingStats(session=None, recording=False)
        return self._space.stats().model_copy(
            update={
                "session": self.folder and str(self.folder),
                "recording": self.recording,
                "recording_halted": dict(self._halts),
                "recorded_messages": dict(self.recorded),
                "not_recorded": dict(self.dropped),
                "not_recorded_others": dict(self.dropped_others),
                "messages_lost": self.lost,
            }
        )

    def close(self) -> None:
        """Write what is queued, seal the session and end the threads; blocks until then.
        `on_durable` is called a last time, on this thread. `folder` is None then if nothing was
        recorded.
        """
        self._closing.set()
        with self._change:
            self._change.notify_all()
        for thread in self._threads:
            thread.join()
        self._publish()
        if self.folder and not self.folder.exists():
            self.folder = None  # nothing was recorded

    def _open(self, folder: Path, config: HubConfig, segment_s: float) -> SessionWriter:
        nearest = next(p for p in (folder, *folder.parents) if p.is_dir())
        self._space.look(nearest)
        is_new = not (folder / MANIFEST).exists()  # a restarted hub goes on live on a full disk
        if is_new and self._space.is_short:
            raise Refusal(
                f"{self._space.free_bytes / _GB:.1f} GB are free for {folder} and recording keeps"
                f" {self._space.least_bytes / _GB:.1f} GB free: make room, choose another folder"
                " with --data, or use --record none."
            )
        return SessionWriter(
            folder,
            recording=config.record,
            config=config.model_dump(mode="json"),
            storage=self._storage,
            segment_s=segment_s,
        )

    # on the writing thread

    def _write(self, writer: SessionWriter) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._queue or self._closing.is_set(), _RETRY_S)
            self._closing.wait(_GATHER_S)
            with self._change:
                batch, self._queue = self._queue, deque()
                batch_bytes = self._queued_bytes
            if not batch and self._closing.is_set():
                break
            for entry in batch:
                self._write_one(writer, entry)
            self._recover(writer)
            with self._change:
                self._queued_bytes -= batch_bytes
        self.lost += writer.close()

    def _write_one(self, writer: SessionWriter, entry: _Entry) -> None:
        try:
            if isinstance(entry, _Seal):
                writer.seal(entry.reason)
            elif isinstance(entry, Mapping):
                writer.write_event(entry)
            else:
                self.recorded[entry.kind] += 1
                writer.write(entry)
        except OSError as error:
            self._halt_for(error)
            self._recover(writer)

    def _recover(self, writer: SessionWriter) -> None:
        """Wait until the disk accepts writes again, or the hub closes."""
        while writer.failed is not None:
            self._halt_for(writer.failed)
            if self._closing.wait(_RETRY_S):
                return
            try:
                writer.retry()
            except OSError as error:
                log.debug("disk still refuses", extra={"reason": str(error)})
        self._unhalt("disk error")

    # on the syncing thread

    def _sync(self, writer: SessionWriter) -> None:
        look_at = 0.0
        while not self._closing.wait(self._sync_s):
            try:
                writer.sync()
            except OSError as error:
                self._halt_for(error)
            self._publish()
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _SPACE_PERIOD_S
                self._watch_space(writer.folder)

    def _publish(self) -> None:
        if self._writer is None:
            return
        durable = self._writer.durable
        fresh = {s: seq for s, seq in durable.items() if self._published.get(s) != seq}
        if fresh and self.on_durable is not None:
            self.on_durable(fresh)
            self._published = durable

    def _watch_space(self, folder: Path) -> None:
        self._space.watch(folder, self._taken_bytes)
        if self._space.is_short:
            self._halt("space", "disk full")
        elif self._space.is_ample:
            self._unhalt("space")

    # on any thread

    def _halt_for(self, error: OSError) -> None:
        name = errorcode.get(error.errno or 0, "EIO")
        self._halt("disk error", f"disk error {name}", seal=False)

    def _halt(self, by: str, reason: str, *, seal: bool = True) -> None:
        with self._change:
            if by in self._halts or self._writer is None:
                return
            self._halts[by] = reason
            if seal:
                self._queue.append(_Seal(reason))
                self._change.notify_all()
        log.warning("recording stopped", extra={"reason": reason})

    def _unhalt(self, by: str) -> None:
        with self._change:
            if self._halts.pop(by, None) is None or self._halts:
                return
            due, self._cameras_due = self._cameras_due, None
        if due:
            self.put_calibration(due)
        log.info("recording goes on", extra={"session": str(self.folder)})

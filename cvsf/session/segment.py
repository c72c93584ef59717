"""The writer of one MCAP file of a session: every frame is a chunk of its own, with a CRC.

Small messages share other chunks, so that poses can be read without pictures. After a failed write
the file is truncated to a durable size.
"""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.opcode import Opcode

from cvsf.session import mcap_records
from cvsf.session.mcap_records import FRAME_HEAD, MESSAGE_HEAD
from cvsf.system.disk import Bytes, Storage, write_all

_CHUNK_BYTES = 64 << 10  # of small messages; a guess, not measured
_NEVER_NS = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The size of the file at some moment, and the state of the writer at it."""

    offset: int
    index_bytes: int
    channels: int
    counts: dict[int, int]
    chunks: int
    first_ns: int
    last_ns: int
    digest: Any  # a copy of the running sha256


class SegmentWriter:
    """A growing `.part` file, until `finish`; used by one thread at a time, except `sync`."""

    def __init__(self, storage: Storage, path: Path, about: Mapping[str, str]) -> None:
        self.path = path
        self.offset = 0  # bytes written
        self._storage = storage
        self._digest = hashlib.sha256()
        self._channels: dict[str, int] = {}
        self._counts: dict[int, int] = {}
        self._first_ns, self._last_ns = _NEVER_NS, 0
        self._chunks = 0
        self._chunk_index = bytearray()
        self._small = bytearray()
        self._offsets: mcap_records.Offsets = {}
        self._small_ns = (_NEVER_NS, 0)
        self._descriptor = storage.create(path)
        start, self._metadata = mcap_records.beginning(about)
        try:
            self._write([start])
        except OSError:
            self.close()
            raise

    @property
    def sha256(self) -> str:
        """The sha256 of all bytes written to the file so far, hexadecimal, without small messages
        in memory.
        """
        return str(self._digest.hexdigest())

    @property
    def counts(self) -> dict[str, int]:
        """How many messages were written to the file, by the name of the channel; those still in
        memory count after `flush`. A new map at each call.
        """
        return {topic: self._counts.get(channel, 0) for topic, channel in self._channels.items()}

    def add_frame(self, camera: str, seq: int, t_ns: int, header: bytes, jpeg: Bytes) -> None:
        """Write one frame as a chunk of its own to the file, at once; it is durable only after
        `sync`. `header` is its fields in msgpack, `t_ns` its exposure (ns, hub clock); a time
        before 0 is written as 0. OSError if the disk fails; then only `rewind` or `close` may
        follow.
        """
        new, channel = self._channel(mcap_records.frame_topic(camera))
        at_ns = max(t_ns, 0)
        size = MESSAGE_HEAD.size - 9 + FRAME_HEAD.size + len(header) + len(jpeg)
        message = MESSAGE_HEAD.pack(Opcode.MESSAGE, size, channel, seq & 0xFFFFFFFF, at_ns, at_ns)
        head = b"".join([new, message, FRAME_HEAD.pack(len(header)), header])
        self._write_chunk([head, jpeg], {channel: [(at_ns, len(new))]}, at_ns, at_ns)

    def add(self, topic: str, t_ns: int, message: Bytes) -> None:
        """Add a small message in msgpack to the chunk in memory. `t_ns` is its time in ns, on the
        hub's clock as the caller gives it; a time before 0 counts as 0. The chunk is written when
        it is above 64 KiB, else at `flush`; OSError if the disk fails then.
        """
        new, channel = self._channel(topic)
        at_ns = max(t_ns, 0)
        self._small += new
        self._offsets.setdefault(channel, []).append((at_ns, len(self._small)))
        size = MESSAGE_HEAD.size - 9 + len(message)
        self._small += MESSAGE_HEAD.pack(Opcode.MESSAGE, size, channel, 0, at_ns, at_ns)
        self._small += message
        self._small_ns = (min(self._small_ns[0], at_ns), max(self._small_ns[1], at_ns))
        if len(self._small) > _CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the small messages in memory as one chunk, if there are any; durable only after
        `sync`. OSError if the disk fails.
        """
        if self._small:
            self._write_chunk([self._small], self._offsets, *self._small_ns)
            self._clear_small()

    def sync(self) -> None:
        """Wait until all bytes written to the file are durable; small messages that were not
        flushed are not among them. May be called on any thread. OSError if the disk fails.
        """
        self._storage.sync(self._descriptor)

    def mark(self) -> Mark:
        """The present size and state, for `rewind`; to include small messages in memory, call
        `flush` before. Writes nothing.
        """
        return Mark(
            offset=self.offset,
            index_bytes=len(self._chunk_index),
            channels=len(self._channels),
            counts=dict(self._counts),
            chunks=self._chunks,
            first_ns=self._first_ns,
            last_ns=self._last_ns,
            digest=self._digest.copy(),
        )

    def rewind(self, mark: Mark) -> None:
        """Truncate the file to the size at the mark and restore the counts and hash of then. Small
        messages in memory are dropped. OSError if the disk fails.
        """
        self._storage.truncate(self._descriptor, mark.offset)
        self.offset = mark.offset
        del self._chunk_index[mark.index_bytes :]
        self._channels = dict(list(self._channels.items())[: mark.channels])
        self._counts, self._chunks = dict(mark.counts), mark.chunks
        self._first_ns, self._last_ns = mark.first_ns, mark.last_ns
        self._digest = mark.digest.copy()
        self._clear_small()

    def finish(self) -> None:
        """Seal the segment: write small messages, summary and footer, and wait until all is
        durable. The name stays, and the file is open until `close`; no message may follow. OSError
        if the disk fails.
        """
        self.flush()
        contents = mcap_records.Contents(
            channels=self._channels,
            counts=self._counts,
            chunks=self._chunks,
            first_ns=min(self._first_ns, self._last_ns),
            last_ns=self._last_ns,
            chunk_index=self._chunk_index,
            metadata=self._metadata,
        )
        self._write([mcap_records.ending(contents, self.offset)])
        self.sync()

    def close(self) -> None:
        """Close the file, sealed or not; nothing is written or synced, and its name stays. Call it
        once.
        """
        self._storage.close(self._descriptor)

    def _clear_small(self) -> None:
        self._small = bytearray()
        self._offsets = {}
        self._small_ns = (_NEVER_NS, 0)

    def _channel(self, topic: str) -> tuple[bytes, int]:
        """The records that introduce the channel where it is new, and its number."""
        if topic in self._channels:
            return b"", self._channels[topic]
        self._channels[topic] = channel = len(self._channels) + 1
        return mcap_records.introduction(topic, channel), channel

    def _write_chunk(
        self, parts: list[Bytes], offsets: mcap_records.Offsets, first_ns: int, last_ns: int
    ) -> None:
        size, crc = 0, 0
        for part in parts:
            size += len(part)
            crc = zlib.crc32(part, crc)
        head = mcap_records.chunk_head(size, crc, first_ns, last_ns)
        offset = self.offset
        tail, index_offsets = mcap_records.chunk_tail(offsets, offset + len(head) + size)
        self._write([head, *parts, tail])
        self._chunk_index += mcap_records.chunk_entry(head, offset, len(tail), index_offsets)
        self._chunks += 1
        self._first_ns, self._last_ns = min(self._first_ns, first_ns), max(self._last_ns, last_ns)
        for channel, entries in offsets.items():
            self._counts[channel] = self._counts.get(channel, 0) + len(entries)

    def _write(self, parts: list[Bytes]) -> None:
        write_all(self._storage, self._descriptor, parts)
        for part in parts:
            self._digest.update(part)
            self.offset += len(part)

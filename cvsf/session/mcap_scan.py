"""Reads a session's MCAP file chunk by chunk, also a damaged one; chunks with a wrong CRC are
dropped.

Damage costs one chunk: the next one is found by its signature.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel
from mcap.writer import MCAP0_MAGIC

from cvsf.messages import unpack
from cvsf.session.mcap_records import CHUNK_FIXED, CHUNK_HEAD, FRAME_HEAD, MESSAGE_HEAD, frame_topic

_BLOCK_BYTES = 1 << 20  # of a search for a chunk; a guess, not measured
_RECORD_BYTES = 9  # opcode and length
_OTHER_RECORD_BYTES = 64 << 20  # limit of a record that is no chunk; a guess, not measured
_KNOWN = frozenset(int(opcode) for opcode in Opcode)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message in the encoding of the file."""

    topic: str
    t_ns: int
    message: memoryview


class Scan:
    """One pass over a file; `damaged` and `torn` report its faults."""

    def __init__(self, path: Path, *, validate_crcs: bool = True, limit: int | None = None) -> None:
        self.path = path
        self.damaged: list[int] = []  # offsets at which intact records end
        self.lost_bytes = 0  # of no intact record
        self.torn = False  # the file ends before its footer
        self._validate = validate_crcs
        self._limit = limit
        self._topics: dict[int, str] = {}

    def messages(self, wanted: Callable[[str], bool] | None = None) -> Iterator[Recorded]:
        """Every intact message in the order of the file; with `wanted`, a test of channel names,
        only those. An unwanted frame is skipped by its head, so its CRC is not checked. Damaged
        bytes are skipped and counted in `damaged` and `lost_bytes`; these and `torn` are complete
        only at the end. OSError if the file cannot be read.
        """
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            if self._limit is not None:
                size = min(size, self._limit)
            for offset, length in self._chunks(file, size):
                if self._unwanted(file, offset, wanted):
                    continue
                yield from self._read_chunk(file, offset, length, wanted)

    def _chunks(self, file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
        """(offset, bytes of data) of every chunk with a valid head."""
        offset = len(MCAP0_MAGIC)
        valid_end = offset  # of the records before
        while offset < size:
            head = _read_at(file, offset, min(CHUNK_HEAD.size, size - offset))
            length = int.from_bytes(head[1:_RECORD_BYTES], "little")
            end = offset + _RECORD_BYTES + length
            if (data := _chunk_data(head, size - offset)) is not None:
                yield offset, data
                offset = valid_end = end
            elif _is_other(head, length) and end <= size:
                if head[0] == Opcode.FOOTER:
                    return
                offset = end
            else:
                found = _next_chunk(file, valid_end, size)
                self._lose(valid_end, (found if found is not None else size) - valid_end)
                if found is None:
                    break
                offset = found
        self.torn = True

    def _lose(self, offset: int, count: int) -> None:
        self.damaged.append(offset)
        self.lost_bytes += count

    def _unwanted(self, file: BinaryIO, offset: int, wanted: Callable[[str], bool] | None) -> bool:
        """Whether the chunk is a frame of a camera that is not wanted."""
        if wanted is None:
            return False
        head = _read_at(file, offset + CHUNK_HEAD.size, MESSAGE_HEAD.size)
        if len(head) < MESSAGE_HEAD.size or head[0] != Opcode.MESSAGE:
            return False
        topic = self._topics.get(int.from_bytes(head[9:11], "little"))
        return topic is not None and topic.startswith("/camera/") and not wanted(topic)

    def _read_chunk(
        self, file: BinaryIO, offset: int, length: int, wanted: Callable[[str], bool] | None
    ) -> Iterator[Recorded]:
        chunk = memoryview(_read_at(file, offset, CHUNK_HEAD.size + length))
        crc = CHUNK_HEAD.unpack(chunk[: CHUNK_HEAD.size])[5]
        records = chunk[CHUNK_HEAD.size :]
        if self._validate and zlib.crc32(records) != crc:
            self._lose(offset, len(chunk))
            return
        try:
            found = list(self._records(records))
        except (ValueError, McapError):
            self._lose(offset, len(chunk))
            return
        yield from (each for each in found if wanted is None or wanted(each.topic))

    def _records(self, records: memoryview) -> Iterator[Recorded]:
        offset = 0
        while offset < len(records):
            opcode = records[offset]
            start = offset + _RECORD_BYTES
            end = start + int.from_bytes(records[offset + 1 : start], "little")
            if end > len(records):
                raise ValueError("a record reaches beyond its chunk")
            if opcode == Opcode.CHANNEL:
                channel = _channel(bytes(records[start:end]))
                self._topics[channel.id] = channel.topic
            elif opcode == Opcode.MESSAGE:
                _, _, number, _, t_ns, _ = MESSAGE_HEAD.unpack(
                    records[offset : offset + MESSAGE_HEAD.size]
                )
                message = records[offset + MESSAGE_HEAD.size : end]
                topic = self._topics.get(number) or _topic_of(message)
                yield Recorded(topic, t_ns, message)
            offset = end


def split_frame(message: memoryview) -> tuple[memoryview, memoryview]:
    """The header (msgpack) and the JPEG of a recorded frame, as views of its bytes, not copies.
    ValueError if the message is shorter than its length field says; the content is not checked.
    """
    if len(message) < FRAME_HEAD.size:
        raise ValueError("a frame is shorter than its length field")
    (length,) = FRAME_HEAD.unpack(message[: FRAME_HEAD.size])
    start = FRAME_HEAD.size + length
    if start > len(message):
        raise ValueError("a frame's header is longer than the frame")
    return message[FRAME_HEAD.size : start], message[start:]


def _topic_of(message: memoryview) -> str:
    """The channel of a message whose channel record was lost, from the kind in the message."""
    if (
        bytes(message[2:4]) == b"\0\0"
    ):  # the length before a frame's header; a msgpack map has text here
        return frame_topic(str(unpack(split_frame(message)[0], trusted=True).get("camera")))
    header = unpack(message, trusted=True)
    return f"/{header.get('kind', 'event')}"


def _read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _chunk_data(head: bytes, room: int) -> int | None:
    """Bytes of data of the chunk with this head; None if it is not a valid head."""
    if len(head) < CHUNK_HEAD.size:
        return None
    opcode, length, _, _, size, _, compression, stored = CHUNK_HEAD.unpack(head)
    fits = length == CHUNK_FIXED + stored and _RECORD_BYTES + length <= room
    is_valid = opcode == Opcode.CHUNK and size == stored and compression == 0 and fits
    return stored if is_valid else None


def _is_other(head: bytes, length: int) -> bool:
    return head[0] in _KNOWN and head[0] != Opcode.CHUNK and length < _OTHER_RECORD_BYTES


def _next_chunk(file: BinaryIO, start: int, size: int) -> int | None:
    """The offset of the first chunk at or after `start`, by its signature."""
    for block in range(start, size, _BLOCK_BYTES):
        data = _read_at(file, block, min(_BLOCK_BYTES + CHUNK_HEAD.size, size - block))
        at = data.find(Opcode.CHUNK)
        while 0 <= at < _BLOCK_BYTES:
            if _chunk_data(data[at : at + CHUNK_HEAD.size], size - block - at) is not None:
                return block + at
            at = data.find(Opcode.CHUNK, at + 1)
    return None


def _channel(content: bytes) -> Channel:
    read: Channel = Channel.read(ReadDataStream(BytesIO(content)))
    return read

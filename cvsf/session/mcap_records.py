"""The layout of a session's MCAP file: channels, schemas, chunks, indexes, summary.

Chunks are uncompressed. The `mcap` reader can open the file; its schemas describe the messages.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.writer import MCAP0_MAGIC

from cvsf.messages import Frame, Instant, MultiviewPose, Skeleton
from cvsf.shapes import Array
from cvsf.skeleton import JOINT_SETS

INSTANT, POSE, SKELETON, EVENT = "/instant", "/pose", "/skeleton", "/event"
TOPIC_OF = {Instant.kind: INSTANT, MultiviewPose.kind: POSE, Skeleton.kind: SKELETON}
CHUNK_HEAD = struct.Struct("<BQQQQIIQ")  # opcode, length, start, end, size, crc, "" (raw), size
CHUNK_FIXED = CHUNK_HEAD.size - 9  # a chunk record's length beyond its data
MESSAGE_HEAD = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, log time, publish time
FRAME_HEAD = struct.Struct("<I")  # length of the header before the JPEG
_INDEX_HEAD = struct.Struct("<BQHI")
_INDEX_ENTRY = struct.Struct("<QQ")
_CHUNK_INDEX = struct.Struct("<BQQQQQI")
_CHUNK_INDEX_ENTRY = struct.Struct("<HQ")
_CHUNK_INDEX_TAIL = struct.Struct("<QIQQ")
_FIELDS = {
    kind.__name__: [
        f"{f.name}: {Array if hasattr(f.type, 'dims') else f.type}" for f in fields(kind)
    ]
    for kind in (Frame, Instant, MultiviewPose, Skeleton)
} | {"Event": ["event: str", "t_ns: int"]}
"""Fields of each schema as text; an array without its shape."""
_SCHEMA_OF = {INSTANT: "Instant", POSE: "MultiviewPose", SKELETON: "Skeleton", EVENT: "Event"}
_SCHEMA_IDS = {name: i for i, name in enumerate(_FIELDS, 1)}

Offsets = dict[int, list[tuple[int, int]]]
"""Channel: (log time, offset within the chunk) of its messages."""


def frame_topic(camera: str) -> str:
    """The name of the MCAP channel with a camera's frames: `/camera/NAME/frame`."""
    return f"/camera/{camera}/frame"


def topic_camera(topic: str) -> str | None:
    """The name of the camera in a channel `/camera/NAME/frame`; None for any other channel."""
    if topic.startswith("/camera/") and topic.endswith("/frame"):
        return topic.removeprefix("/camera/").removesuffix("/frame")
    return None


def beginning(about: Mapping[str, str]) -> tuple[bytes, list[MetadataIndex]]:
    """The first bytes of a file: magic, header, and two metadata records, `about` and all joint
    sets. Second, the index entries of these records for the summary.
    """
    start = RecordBuilder()
    start.write(MCAP0_MAGIC)
    Header("cvsf", "cvsf").write(start)
    sets = {
        s.name: json.dumps({"joints": s.joints, "parents": s.parents}) for s in JOINT_SETS.values()
    }
    index = []
    for name, content in (("cvsf.session", dict(about)), ("cvsf.joint_sets", sets)):
        offset = start.count
        Metadata(name, content).write(start)
        index.append(MetadataIndex(offset, start.count - offset, name))
    return _bytes(start), index


def _bytes(built: RecordBuilder) -> bytes:
    return bytes(built.end())  # type: ignore[no-untyped-call]


def introduction(topic: str, channel: int) -> bytes:
    """The schema and channel records to write in the chunk before a channel's first message;
    `channel` is its number. An unknown topic counts as a channel of frames.
    """
    new = RecordBuilder()
    _schema(_SCHEMA_OF.get(topic, "Frame")).write(new)
    _channel(topic, channel).write(new)
    return _bytes(new)


def chunk_head(size: int, crc: int, first_ns: int, last_ns: int) -> bytes:
    """The head of an uncompressed MCAP chunk, before its `size` bytes of records. `crc` is their
    CRC-32; the times are those of its first and last message, in ns.
    """
    return CHUNK_HEAD.pack(Opcode.CHUNK, CHUNK_FIXED + size, first_ns, last_ns, size, crc, 0, size)


def chunk_tail(message_offsets: Offsets, tail_offset: int) -> tuple[bytes, bytes]:
    """The message index records to write after a chunk at file offset `tail_offset`. Second, the
    offset of each, packed for `chunk_entry`.
    """
    tail, offsets = bytearray(), bytearray()
    for channel, entries in message_offsets.items():
        offsets += _CHUNK_INDEX_ENTRY.pack(channel, tail_offset + len(tail))
        length = _INDEX_ENTRY.size * len(entries)
        tail += _INDEX_HEAD.pack(Opcode.MESSAGE_INDEX, 6 + length, channel, length)
        for entry in entries:
            tail += _INDEX_ENTRY.pack(*entry)
    return bytes(tail), bytes(offsets)


def chunk_entry(head: bytes, offset: int, tail_bytes: int, where: bytes) -> bytes:
    """The entry of an MCAP chunk in the summary of its file. `offset` is the chunk's place in the
    file, `tail_bytes` the length of its message indexes, `where` their packed offsets
    (`chunk_tail`).
    """
    _, length, first_ns, last_ns, size, *_ = CHUNK_HEAD.unpack(head)
    entry = _CHUNK_INDEX.pack(
        Opcode.CHUNK_INDEX, 64 + len(where), first_ns, last_ns, offset, 9 + length, len(where)
    )
    return entry + where + _CHUNK_INDEX_TAIL.pack(tail_bytes, 0, size, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The content of a file's summary."""

    channels: Mapping[str, int]  # topic: channel number
    counts: Mapping[int, int]
    chunks: int
    first_ns: int
    last_ns: int
    chunk_index: bytes | bytearray
    metadata: Sequence[MetadataIndex]


def ending(contents: Contents, offset: int) -> bytes:
    """The last bytes of a file whose data end at byte `offset`: end of data, summary, footer with
    the CRC of the summary, magic.
    """
    end = RecordBuilder()
    DataEnd(0).write(end)
    data_end = _bytes(end)
    start = offset + len(data_end)
    summary, offsets = _groups(contents, start)
    offsets_start = start + len(summary)
    for summary_offset in offsets:
        summary_offset.write(end)
    summary += _bytes(end)
    prefix = struct.pack("<BQQQ", Opcode.FOOTER, 8 + 8 + 4, start, offsets_start)
    Footer(start, offsets_start, zlib.crc32(prefix, zlib.crc32(summary))).write(end)
    return data_end + summary + _bytes(end) + MCAP0_MAGIC


def _groups(contents: Contents, start: int) -> tuple[bytes, list[SummaryOffset]]:
    """The records of the summary by kind, and the offset of each kind."""
    names = {_SCHEMA_OF.get(topic, "Frame") for topic in contents.channels}
    statistics = _statistics(contents, len(names))
    records: dict[Opcode, Sequence[McapRecord]] = {
        Opcode.SCHEMA: [_schema(name) for name in sorted(names, key=_SCHEMA_IDS.__getitem__)],
        Opcode.CHANNEL: [_channel(topic, channel) for topic, channel in contents.channels.items()],
        Opcode.STATISTICS: [statistics],
        Opcode.METADATA_INDEX: contents.metadata,
    }
    summary, offsets = RecordBuilder(), []
    for opcode, group in records.items():
        first = summary.count
        for record in group:
            record.write(summary)
        if group:
            offsets.append(SummaryOffset(opcode, start + first, summary.count - first))
    if contents.chunk_index:
        size = len(contents.chunk_index)
        offsets.append(SummaryOffset(Opcode.CHUNK_INDEX, start + summary.count, size))
        summary.write(contents.chunk_index)
    return _bytes(summary), offsets


def _statistics(contents: Contents, schemas: int) -> Statistics:
    return Statistics(
        attachment_count=0,
        channel_count=len(contents.channels),
        channel_message_counts=dict(contents.counts),
        chunk_count=contents.chunks,
        message_count=sum(contents.counts.values()),
        message_end_time=contents.last_ns,
        message_start_time=contents.first_ns,
        metadata_count=len(contents.metadata),
        schema_count=schemas,
    )


def _schema(name: str) -> Schema:
    text = "\n".join(_FIELDS[name]).encode()
    return Schema(id=_SCHEMA_IDS[name], name=f"cvsf.{name}", encoding="text/plain", data=text)


def _channel(topic: str, channel: int) -> Channel:
    schema = _SCHEMA_OF.get(topic, "Frame")
    return Channel(
        id=channel,
        topic=topic,
        message_encoding="length+msgpack+jpeg" if schema == "Frame" else "msgpack",
        metadata={},
        schema_id=_SCHEMA_IDS[schema],
    )

"""The records of an MCAP file, put together by hand and read by the plain reader."""

import io
import zlib

import pytest
from mcap.reader import make_reader

from cvsf.session.mcap_records import (
    CHUNK_FIXED,
    CHUNK_HEAD,
    INSTANT,
    MESSAGE_HEAD,
    Contents,
    beginning,
    chunk_entry,
    chunk_head,
    chunk_tail,
    ending,
    frame_topic,
    introduction,
    topic_camera,
)
from cvsf.skeleton import JOINT_SETS


def message(channel: int, seq: int, t_ns: int, data: bytes) -> bytes:
    return MESSAGE_HEAD.pack(5, 22 + len(data), channel, seq, t_ns, t_ns) + data


def whole_file() -> bytes:
    """One chunk with three messages of one channel."""
    start, metadata = beginning({"session": "by hand"})
    records, places = introduction(INSTANT, 1), []
    for seq, t_ns in enumerate((30, 10, 20)):
        places.append((t_ns, len(records)))
        records += message(1, seq, t_ns, b"number %d" % seq)
    head = chunk_head(len(records), zlib.crc32(records), 10, 30)
    offset = len(start)
    tail_offset = offset + len(head) + len(records)
    tail, where = chunk_tail({1: sorted(places)}, tail_offset)
    body = start + head + records + tail
    contents = Contents(
        channels={INSTANT: 1},
        counts={1: 3},
        chunks=1,
        first_ns=10,
        last_ns=30,
        chunk_index=chunk_entry(head, offset, len(tail), where),
        metadata=metadata,
    )
    return body + ending(contents, len(body))


def test_a_file_put_together_by_hand_is_read_in_order_of_time_with_its_checksums() -> None:
    reader = make_reader(io.BytesIO(whole_file()), validate_crcs=True)
    found = [(channel.topic, m.log_time, m.data) for _, channel, m in reader.iter_messages()]
    assert found == [
        (INSTANT, 10, b"number 1"),
        (INSTANT, 20, b"number 2"),
        (INSTANT, 30, b"number 0"),
    ]
    metadata = {m.name: m.metadata for m in reader.iter_metadata()}
    assert metadata["cvsf.session"] == {"session": "by hand"}
    assert set(metadata["cvsf.joint_sets"]) == set(JOINT_SETS)


def test_the_summary_gives_the_counts_times_and_schema() -> None:
    summary = make_reader(io.BytesIO(whole_file())).get_summary()
    assert summary is not None
    assert summary.statistics is not None
    assert (summary.statistics.message_count, summary.statistics.chunk_count) == (3, 1)
    assert summary.statistics.message_start_time == 10
    assert summary.statistics.message_end_time == 30
    assert [schema.name for schema in summary.schemas.values()] == ["cvsf.Instant"]
    (index,) = summary.chunk_indexes
    assert (index.message_start_time, index.message_end_time) == (10, 30)


def test_the_head_of_a_chunk_holds_its_length_times_and_checksum() -> None:
    head = chunk_head(1000, 77, 5, 9)
    assert CHUNK_HEAD.unpack(head) == (6, CHUNK_FIXED + 1000, 5, 9, 1000, 77, 0, 1000)


@pytest.mark.parametrize("camera", ["cam0", "left.2", "a-b_c"])
def test_the_topic_of_a_camera_gives_the_camera_back_and_others_give_none(camera: str) -> None:
    assert topic_camera(frame_topic(camera)) == camera
    assert topic_camera(INSTANT) is None
    assert topic_camera(f"/camera/{camera}/other") is None

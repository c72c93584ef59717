"""One file of a session while it grows: what is in it, and how it is cut back after a failure."""

import hashlib
from contextlib import suppress
from pathlib import Path

import pytest
from mcap.reader import make_reader

from cvsf.session.mcap_records import FRAME_HEAD, INSTANT, frame_topic
from cvsf.session.mcap_scan import Scan
from cvsf.session.segment import SegmentWriter
from cvsf.system.disk import Storage
from tests.support.disks import FailingStorage

ABOUT = {"session": "test", "segment": "0"}
FRAME, T_NS = frame_topic("cam0"), 1_000_000_000


def add_frames(writer: SegmentWriter, first: int, count: int) -> None:
    for seq in range(first, first + count):
        writer.add_frame("cam0", seq, T_NS + seq, b"header %d" % seq, b"picture %d" % seq)


def test_the_plain_mcap_reader_finds_every_message_and_the_counts(tmp_path: Path) -> None:
    path = tmp_path / "seg.mcap"
    writer = SegmentWriter(Storage(), path, ABOUT)
    add_frames(writer, 0, 3)
    for number in range(5):
        writer.add(INSTANT, T_NS + number, b"instant %d" % number)
    writer.finish()
    writer.close()
    assert writer.counts == {FRAME: 3, INSTANT: 5}
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        found = [(c.topic, m.log_time, m.data) for _, c, m in reader.iter_messages()]
        told = {m.name: m.metadata for m in reader.iter_metadata()}
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.chunk_count == 4  # a frame is a chunk of its own
    assert summary.statistics.message_start_time == T_NS
    assert summary.statistics.message_end_time == T_NS + 4
    assert told["cvsf.session"] == ABOUT
    instants = [each for each in found if each[0] == INSTANT]
    assert instants == [(INSTANT, T_NS + n, b"instant %d" % n) for n in range(5)]
    frames = [each for each in found if each[0] == FRAME]
    head = FRAME_HEAD.pack(len(b"header 0"))
    assert frames == [
        (FRAME, T_NS + n, head + b"header %d" % n + b"picture %d" % n) for n in range(3)
    ]


def test_the_digest_and_size_of_a_segment_are_those_of_its_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "seg.mcap"
    writer = SegmentWriter(Storage(), path, ABOUT)
    for _ in range(3):
        add_frames(writer, 0, 2)
        written = path.read_bytes()
        assert writer.offset == len(written)
        assert writer.sha256 == hashlib.sha256(written).hexdigest()
    writer.finish()
    writer.close()
    assert writer.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_small_messages_are_written_together_once_they_fill_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "seg.mcap"
    writer = SegmentWriter(Storage(), path, ABOUT)
    before = writer.offset
    writer.add(INSTANT, T_NS, b"x" * 40_000)
    assert writer.offset == before
    writer.add(INSTANT, T_NS, b"x" * 40_000)
    assert writer.offset > before + 80_000
    writer.add(INSTANT, T_NS, b"y")
    writer.flush()
    writer.close()
    assert [bytes(m.message[:1]) for m in Scan(path).messages()] == [b"x", b"x", b"y"]


def test_a_segment_cut_back_to_a_mark_equals_one_without_what_came_after(tmp_path: Path) -> None:
    files = []
    for name, digress in (("a", False), ("b", True)):
        path = tmp_path / name
        writer = SegmentWriter(Storage(), path, ABOUT)
        add_frames(writer, 0, 2)
        mark = writer.mark()
        if digress:
            add_frames(writer, 7, 3)
            writer.add(INSTANT, T_NS - 5, b"instant")
            writer.flush()
            writer.add(INSTANT, T_NS - 9, b"not yet written")
            writer.rewind(mark)
        add_frames(writer, 2, 2)
        writer.finish()
        writer.close()
        files.append((path.read_bytes(), writer.sha256, writer.counts))
    assert files[0] == files[1]


@pytest.mark.parametrize("at", [2, 3, 4])
def test_a_segment_cut_back_after_a_torn_write_goes_on_whole(tmp_path: Path, at: int) -> None:
    path = tmp_path / "seg.mcap"
    # of its operations 0 creates the file and 1 writes its beginning
    writer = SegmentWriter(FailingStorage(first=at, times=1), path, ABOUT)
    kept = []
    for seq in range(5):
        mark = writer.mark()
        with suppress(OSError):
            add_frames(writer, seq, 1)
            kept.append(seq)
            continue
        assert path.stat().st_size > mark.offset  # torn
        writer.rewind(mark)
        assert path.stat().st_size == mark.offset
    writer.finish()
    writer.close()
    assert len(kept) == 4
    scan = Scan(path)
    found = [message.t_ns - T_NS for message in scan.messages()]
    assert found == kept
    assert not scan.damaged
    assert not scan.torn

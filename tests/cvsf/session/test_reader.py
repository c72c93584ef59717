"""A session comes back as it was recorded, and says what of it is missing or changed."""

import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from mcap.reader import make_reader

from cvsf.messages import Frame
from cvsf.session.mcap_records import frame_topic
from cvsf.session.mcap_scan import Scan
from cvsf.session.reader import MANIFEST, SessionReader, read_manifest, session_folder
from cvsf.session.recovery import recover
from cvsf.session.statistics import Recordable
from cvsf.session.writer import SessionWriter
from cvsf.system.disk import Bytes, Storage
from cvsf.system.errors import Refusal
from tests.support.material import (
    make_frame,
    make_instant,
    make_pose,
    make_skeleton,
    read_all,
    record,
    same,
    short_session,
)


@pytest.mark.parametrize("seed", range(5))
def test_random_streams_come_back_equal_and_in_order(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    cameras = [f"cam{i}" for i in range(rng.randint(1, 6))]
    numbers = dict.fromkeys([*cameras, "instant", "pose", "skeleton"], 0)
    sent: dict[str, list[Recordable]] = {stream: [] for stream in numbers}
    writer = SessionWriter(tmp_path / "s", segment_bytes=rng.choice([200_000, 2 << 30]))
    for _ in range(rng.randint(50, 500)):
        stream = rng.choice(list(numbers))
        number = numbers[stream]
        numbers[stream] += rng.choice([1, 1, 1, 2])
        message: Recordable
        if stream in cameras:
            message = make_frame(stream, number, rng.randbytes(rng.choice([0, 10, 5000, 120_000])))
        elif stream == "instant":
            message = make_instant(number, cameras)
        else:
            message = make_pose(number, cameras) if stream == "pose" else make_skeleton(number)
        writer.write(message)
        sent[stream].append(message)
        if rng.random() < 0.05:
            writer.sync()
    assert writer.close() == 0
    reader = SessionReader(tmp_path / "s")
    found = read_all(reader)
    for stream, messages in sent.items():
        if not messages:
            continue
        assert len(found[stream]) == len(messages)
        assert all(same(a, b) for a, b in zip(found[stream], messages, strict=True))
    assert reader.damaged == 0
    assert all(reader.verify().values())


def test_the_plain_mcap_reader_opens_a_segment_and_counts_the_same(tmp_path: Path) -> None:
    manifest = record(tmp_path / "s", short_session(frames=30, size=80_000))
    (segment,) = manifest.segments
    with (tmp_path / "s" / segment.file).open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        topics = {channel.id: channel.topic for channel in summary.channels.values()}
        counted = {topics[i]: n for i, n in summary.statistics.channel_message_counts.items()}
        assert counted == segment.counts
        assert counted[frame_topic("cam0")] == 30
        schemas = {schema.name for schema in summary.schemas.values()}
        assert schemas == {
            f"cvsf.{n}" for n in ("Frame", "Instant", "MultiviewPose", "Skeleton", "Event")
        }
        times = [message.log_time for _, _, message in reader.iter_messages(topics=["/pose"])]
        assert times == sorted(times)
        assert sum(1 for _ in reader.iter_messages()) == sum(segment.counts.values())
        metadata = {m.name: m.metadata for m in reader.iter_metadata()}
        assert "h36m-16" in metadata["cvsf.joint_sets"]


def test_a_segment_is_as_long_as_its_messages_for_any_reader(tmp_path: Path) -> None:
    frames = [replace(make_frame("cam0", seq), t_ns=time.time_ns()) for seq in range(3)]
    (segment,) = record(tmp_path / "s", frames).segments
    with (tmp_path / "s" / segment.file).open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    assert summary.statistics is not None
    spanned_ns = summary.statistics.message_end_time - summary.statistics.message_start_time
    assert 0 <= spanned_ns < 60e9


def test_the_manifest_holds_the_figures_of_what_was_recorded(tmp_path: Path) -> None:
    messages = [make_frame("cam0", seq) for seq in (0, 1, 4, 5, 9)]
    manifest = record(tmp_path / "s", [*messages, make_pose(0), make_skeleton(0)], config={"a": 1})
    (segment,) = manifest.segments
    (found,) = segment.ranges["cam0"]
    assert (found.first, found.last, found.frames, found.missing) == (0, 9, 5, 5)
    assert found.gaps == [(2, 3), (6, 8)]
    assert segment.sync["cam0"].worst_uncertainty_ns == 40_009
    assert manifest.cameras["cam0"].boots == {"a": (0, 9)}
    assert (manifest.cameras["cam0"].width_px, manifest.cameras["cam0"].height_px) == (640, 480)
    assert manifest.engines == ["starter-1"]
    assert manifest.detectors == ["tiny-0123456789ab"]
    assert manifest.joint_set == "h36m-16"
    assert manifest.config == {"a": 1}
    assert manifest.sealed
    assert manifest.started.endswith("Z")
    assert manifest.frames == 5


def test_a_gap_at_the_seam_of_two_segments_is_found(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s")
    writer.write(make_frame("cam0", 0))
    writer.seal("rotation")
    writer.write(make_frame("cam0", 3))
    writer.close()
    ranges = read_manifest(tmp_path / "s").segments[1].ranges["cam0"]
    assert ranges[0].gaps == [(1, 2)]


def test_segments_rotate_by_time_and_the_reader_joins_them(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s", segment_s=0.05)
    for seq in range(12):
        writer.write(make_frame("cam0", seq))
        time.sleep(0.015)
    writer.close()
    manifest = read_manifest(tmp_path / "s")
    assert len(manifest.segments) >= 3
    reader = SessionReader(tmp_path / "s")
    assert [frame.seq for frame in reader.frames()] == list(range(12))
    starts = [e["event"] for e in reader.events()]
    assert starts == ["segment_start", "segment_end"] * len(manifest.segments)


def test_a_restarted_writer_continues_in_the_next_segment(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s", segment_bytes=10_000)
    for seq in range(3):
        writer.write(make_frame("cam0", seq, b"x" * 11_000))
    writer.close()
    again = SessionWriter(tmp_path / "s")
    assert again.durable == {("cam0", "a"): 2}
    assert not read_manifest(tmp_path / "s").sealed
    again.write(make_frame("cam0", 3))
    again.write(make_frame("cam0", 0, boot_id="b"))
    again.close()
    manifest = read_manifest(tmp_path / "s")
    assert [s.file for s in manifest.segments] == [f"seg-{n:06d}.mcap" for n in range(4)]
    assert manifest.cameras["cam0"].boots == {"a": (0, 3), "b": (0, 0)}
    frames = [(f.boot_id, f.seq) for f in SessionReader(tmp_path / "s").frames()]
    assert frames == [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0)]


def test_a_session_being_recorded_is_refused_to_a_second_writer_and_to_recovery(
    tmp_path: Path,
) -> None:
    writer = SessionWriter(tmp_path / "s")
    with pytest.raises(Refusal, match="another hub"):
        SessionWriter(tmp_path / "s")
    with pytest.raises(Refusal, match="another hub"):
        recover(tmp_path / "s")
    writer.close()


def test_sealing_a_large_segment_writes_only_its_index(tmp_path: Path) -> None:
    class Counting(Storage):
        written = 0

        def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
            count = super().write(descriptor, parts)
            self.written += count
            return count

    picture, storage = os.urandom(100_000), Counting()
    writer = SessionWriter(tmp_path / "s", storage=storage)
    for seq in range(2000):
        writer.write(make_frame("cam0", seq, picture))
        if seq % 50 == 0:
            writer.sync()
    writer.sync()
    before = storage.written
    assert before > 200e6
    writer.close()
    assert storage.written - before < 1e6


def test_a_folder_without_a_sealed_session_of_this_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="not a session"):
        SessionReader(tmp_path)
    writer = SessionWriter(tmp_path / "s")
    with pytest.raises(Refusal, match="not sealed"):
        SessionReader(tmp_path / "s")
    writer.write(make_frame("cam0", 0))
    writer.close()
    manifest = tmp_path / "s" / MANIFEST
    text = manifest.read_text()
    manifest.write_text(text.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(Refusal, match="schema 2"):
        SessionReader(tmp_path / "s")
    manifest.write_text(text.replace('"segments"', '"segment'))
    with pytest.raises(Refusal, match="damaged"):
        SessionReader(tmp_path / "s")
    with pytest.raises(Refusal, match="Run name"):
        session_folder(tmp_path, "../elsewhere")


def test_a_session_in_which_nothing_was_recorded_leaves_no_folder(tmp_path: Path) -> None:
    SessionWriter(tmp_path / "s").close()
    assert not (tmp_path / "s").exists()


def test_an_open_segment_beside_a_sealed_session_is_skipped(tmp_path: Path) -> None:
    record(tmp_path / "s", [make_frame("cam0", 0)])
    (tmp_path / "s" / "seg-000001.mcap.part").write_bytes(b"half a file")
    assert [f.seq for f in SessionReader(tmp_path / "s").frames()] == [0]


def test_a_flipped_byte_costs_one_frame_and_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = short_session(40, size=20_000)
    manifest = record(tmp_path / "s", messages)
    path = tmp_path / "s" / manifest.segments[0].file
    whole = path.read_bytes()
    frames = sum(isinstance(m, Frame) for m in messages)
    rng = random.Random(2)
    noticed = 0
    for offset in [rng.randrange(8, len(whole)) for _ in range(60)]:
        changed = bytearray(whole)
        changed[offset] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        caplog.clear()
        reader = SessionReader(tmp_path / "s")
        found = list(reader.frames())
        sent = {(m.camera, m.seq): m for m in messages if isinstance(m, Frame)}
        assert all(same(f, sent[f.camera, f.seq]) for f in found)
        assert len(found) >= frames - 1
        assert reader.damaged or len(found) == frames
        assert len([r for r in caplog.records if "damaged" in r.message]) == (reader.damaged > 0)
        assert not all(reader.verify().values())
        noticed += reader.damaged > 0
    assert noticed > 40


def test_damage_between_chunks_loses_no_frames_after_it(tmp_path: Path) -> None:
    messages = short_session(20)
    manifest = record(tmp_path / "s", messages)
    path = tmp_path / "s" / manifest.segments[0].file
    offsets = [offset for offset, _ in chunks_of(path)]
    changed = bytearray(path.read_bytes())
    for offset in offsets[5:8]:
        changed[offset : offset + 60] = os.urandom(60)
    path.write_bytes(changed)
    reader = SessionReader(tmp_path / "s")
    assert len(list(reader.frames())) >= 37
    assert reader.damaged >= 1


def chunks_of(path: Path) -> Iterator[tuple[int, int]]:
    scan = Scan(path)
    with path.open("rb") as file:
        yield from scan._chunks(file, path.stat().st_size)


def test_a_missing_or_emptied_segment_is_counted(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s")
    for seq in range(3):
        writer.write(make_frame("cam0", seq))
        writer.seal("rotation")
    writer.close()
    files = [s.file for s in read_manifest(tmp_path / "s").segments]
    (tmp_path / "s" / files[0]).unlink()
    (tmp_path / "s" / files[1]).write_bytes(b"")
    reader = SessionReader(tmp_path / "s")
    assert [f.seq for f in reader.frames()] == [2]
    assert reader.damaged == 2
    assert reader.verify() == {files[0]: False, files[1]: False, files[2]: True}

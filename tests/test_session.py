"""What is acknowledged stays, whatever happens to the process, the disk or the bytes."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from cvsf.layout import frame_topic
from cvsf.messages import Frame, Instant, MultiviewPose, Skeleton
from cvsf.recovery import recover, recover_all
from cvsf.refusal import Refusal
from cvsf.scan import Scan
from cvsf.session import MANIFEST, Manifest, SessionReader, read_manifest, session_folder
from cvsf.session_writer import SessionWriter
from cvsf.skeleton import joint_set
from cvsf.storage import Bytes, Storage
from cvsf.tally import Recordable

JOINTS = len(joint_set("h36m-16"))


def make_frame(
    camera: str, seq: int, jpeg: bytes = b"\xff\xd8 picture", boot_id: str = "a"
) -> Frame:
    return Frame(
        camera=camera,
        boot_id=boot_id,
        seq=seq,
        t_ns=1_000_000_000 + seq * 50_000_000,
        raw_ns=seq * 50_000_000,
        offset_ns=1_000_000_000,
        uncertainty_ns=40_000 + seq,
        sync_epoch=0,
        stamp="simulated",
        width_px=640,
        height_px=480,
        crc32=zlib.crc32(jpeg),
        jpeg=jpeg,
    )


def make_instant(index: int, cameras: Sequence[str] = ("cam0", "cam1")) -> Instant:
    return Instant(
        index=index,
        t_ns=1_000_000_000 + index * 50_000_000,
        frames=dict.fromkeys(cameras, ("a", index)),
        expected=tuple(cameras),
        spread_ns=1000,
    )


def make_pose(index: int, cameras: Sequence[str] = ("cam0", "cam1")) -> MultiviewPose:
    rng = np.random.default_rng(index)
    views = len(cameras)
    return MultiviewPose(
        t_ns=1_000_000_000 + index * 50_000_000,
        instant=index,
        cameras=tuple(cameras),
        image_px=np.full((views, 2), 640, np.float32),
        keypoints_px=rng.random((views, JOINTS, 2), np.float32) * 480,
        confidence=rng.random((views, JOINTS), np.float32),
        detector="tiny-0123456789ab",
    )


def make_skeleton(index: int) -> Skeleton:
    rng = np.random.default_rng(index)
    return Skeleton(
        t_ns=1_000_000_000 + index * 50_000_000,
        uncertainty_ns=1000,
        instant=index,
        engine="starter-1",
        joints=rng.random((JOINTS, 3), np.float32),
        confidence=rng.random(JOINTS, np.float32),
        views=("cam0", "cam1"),
        measured=True,
    )


def same(a: object, b: object) -> bool:
    """Whether two messages are equal, arrays bit by bit."""
    assert type(a) is type(b)
    for name in getattr(type(a), "__slots__"):  # noqa: B009 the attribute is the dataclass's own
        one, other = getattr(a, name), getattr(b, name)
        if isinstance(one, np.ndarray):
            if one.dtype != other.dtype or not np.array_equal(one, other):
                return False
        elif one != other:
            return False
    return True


def read_all(reader: SessionReader) -> dict[str, list[Recordable]]:
    found: dict[str, list[Recordable]] = {
        "instant": list(reader.instants()),
        "pose": list(reader.poses()),
        "skeleton": list(reader.skeletons()),
    }
    return found | {camera: list(reader.frames(camera)) for camera in reader.cameras}


def stream_of(message: Recordable) -> str:
    return message.camera if isinstance(message, Frame) else message.kind


def record(folder: Path, messages: Sequence[Recordable], **options: object) -> Manifest:
    writer = SessionWriter(folder, **options)  # type: ignore[arg-type]
    for message in messages:
        writer.write(message)
    assert writer.close() == 0
    return read_manifest(folder)


def short_session(frames: int = 40, size: int = 3000) -> list[Recordable]:
    rng = random.Random(frames)
    messages: list[Recordable] = []
    for index in range(frames):
        for camera in ("cam0", "cam1"):
            messages.append(make_frame(camera, index, b"\xff\xd8" + rng.randbytes(size)))
        messages += [make_instant(index), make_pose(index), make_skeleton(index)]
    return messages


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


def test_the_manifest_says_what_was_recorded(tmp_path: Path) -> None:
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


def test_a_session_being_recorded_takes_no_second_writer(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s")
    with pytest.raises(Refusal, match="another hub"):
        SessionWriter(tmp_path / "s")
    with pytest.raises(Refusal, match="another hub"):
        recover(tmp_path / "s")
    writer.close()


def test_sealing_a_large_segment_takes_less_than_a_second(tmp_path: Path) -> None:
    picture = os.urandom(100_000)
    writer = SessionWriter(tmp_path / "s")
    for seq in range(2000):
        writer.write(make_frame("cam0", seq, picture))
        if seq % 50 == 0:
            writer.sync()
    started = time.monotonic()
    writer.close()
    assert time.monotonic() - started < 1.0


def test_what_is_no_sealed_session_of_this_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="not a session"):
        SessionReader(tmp_path)
    writer = SessionWriter(tmp_path / "s")
    with pytest.raises(Refusal, match="not sealed"):
        SessionReader(tmp_path / "s")
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


def test_a_folder_that_cannot_be_written_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="--data"):
        SessionWriter(tmp_path / "file" / "s")

    class ReadOnly(Storage):
        def create(self, path: Path) -> int:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with pytest.raises(Refusal, match="Read-only file system"):
        SessionWriter(tmp_path / "s", storage=ReadOnly())


def test_a_short_write_is_completed(tmp_path: Path) -> None:
    class Reluctant(Storage):
        def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
            return os.write(descriptor, b"".join(parts)[:1000])

    messages = short_session(10)
    record(tmp_path / "s", messages, storage=Reluctant())
    assert_complete(tmp_path / "s", messages)


def assert_complete(folder: Path, messages: Sequence[Recordable]) -> None:
    reader = SessionReader(folder)
    found = read_all(reader)
    for stream in {stream_of(m) for m in messages}:
        sent = [m for m in messages if stream_of(m) == stream]
        assert len(sent) == len(found[stream]), stream
        assert all(same(a, b) for a, b in zip(sent, found[stream], strict=True))
        assert len(sent) == sum(topic_counts(folder, stream)), "recorded twice"
    assert reader.damaged == 0
    assert all(reader.verify().values())


def topic_counts(folder: Path, stream: str) -> Iterator[int]:
    """Messages of the stream in each segment, as the plain reader finds them."""
    topic = frame_topic(stream) if stream.startswith("cam") else f"/{stream}"
    for segment in read_manifest(folder).segments:
        with (folder / segment.file).open("rb") as file:
            reader = make_reader(file, validate_crcs=True)
            count = sum(1 for _ in reader.iter_messages(topics=[topic]))
        assert count == segment.counts.get(topic, 0)
        yield count


def assert_nothing_false(
    folder: Path, messages: Sequence[Recordable]
) -> dict[tuple[str, int], Frame]:
    """Every frame read was sent, bit by bit; by camera and seq."""
    sent = {(m.camera, m.seq): m for m in messages if isinstance(m, Frame)}
    found = {(f.camera, f.seq): f for f in SessionReader(folder).frames()}
    assert all(same(frame, sent[key]) for key, frame in found.items())
    return found


class FailingStorage(Storage):
    """Refuses operations number `first` to `first + times - 1`."""

    def __init__(self, first: int, times: int, code: int = errno.ENOSPC) -> None:
        self.operations = 0
        self._refused = range(first, first + times)
        self._code = code

    def _count(self) -> None:
        self.operations += 1
        if self.operations - 1 in self._refused:
            raise OSError(self._code, os.strerror(self._code))

    def create(self, path: Path) -> int:
        self._count()
        return super().create(path)

    def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
        try:
            self._count()
        except OSError:
            os.write(descriptor, b"".join(parts)[: len(parts[0]) + 20])  # torn, as a full disk does
            raise
        return super().write(descriptor, parts)

    def truncate(self, descriptor: int, size: int) -> None:
        self._count()
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._count()  # and no real wait: this disk is only as durable as it is asked to be

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)

    def sync_folder(self, folder: Path) -> None:
        self._count()


def write_stubbornly(
    folder: Path,
    messages: Sequence[Recordable],
    storage: Storage,
    acknowledge: Callable[[SessionWriter], None],
) -> int | None:
    """Record with a sync now and then; what the disk never took, None if it never began."""
    try:
        writer = SessionWriter(folder, storage=storage, segment_bytes=40_000)
    except Refusal:
        return None
    for number, message in enumerate(messages):
        with suppress(OSError):
            writer.write(message)
        if number % 7 == 6:
            with suppress(OSError):
                writer.retry()
                writer.sync()
            acknowledge(writer)
    lost = writer.close()
    acknowledge(writer)
    return lost


def operations_of(tmp_path: Path, messages: Sequence[Recordable]) -> int:
    storage = FailingStorage(first=-1, times=0)
    write_stubbornly(tmp_path / "dry", messages, storage, lambda writer: None)
    return storage.operations


@pytest.mark.parametrize(("code", "times"), [(errno.ENOSPC, 1), (errno.EIO, 2), (errno.EIO, 3)])
def test_an_error_at_any_operation_loses_nothing_once_the_disk_is_back(
    tmp_path: Path, code: int, times: int
) -> None:
    messages = short_session(8)
    for first in range(operations_of(tmp_path, messages)):
        folder = tmp_path / f"at{first}"
        storage = FailingStorage(first, times=times, code=code)
        lost = write_stubbornly(folder, messages, storage, lambda writer: None)
        if lost is None:
            continue
        if not read_manifest(folder).sealed:
            recover(folder)
        assert lost == 0
        assert_complete(folder, messages)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fails_for_good_keeps_what_was_acknowledged(tmp_path: Path, code: int) -> None:
    messages = short_session(12)
    for first in range(0, operations_of(tmp_path, messages), 2):
        folder = tmp_path / f"at{first}"
        durable: dict[tuple[str, str], int] = {}
        write_stubbornly(
            folder,
            messages,
            FailingStorage(first, times=10**9, code=code),
            lambda writer, durable=durable: durable.update(writer.durable),  # type: ignore[misc]
        )
        if not (folder / MANIFEST).exists():
            assert not durable
            continue
        recover(folder)
        found = assert_nothing_false(folder, messages)
        for (camera, _), last in durable.items():
            assert all((camera, seq) in found for seq in range(last + 1))


class PowerCut(BaseException):
    """The machine went dark."""


class Mortal(Storage):
    """Goes dark at operation `last`; `cut` then leaves unsynced bytes kept, torn or gone."""

    def __init__(self, last: int) -> None:
        self.operations = 0
        self._last = last
        self._paths: dict[int, Path] = {}
        self._synced: dict[Path, int] = {}  # bytes certain, by the name they were created under
        self._moves: list[tuple[Path, Path | None]] = []  # since the folder was last synced
        self._created: list[Path] = []

    def _count(self) -> None:
        if self.operations == self._last:
            raise PowerCut
        self.operations += 1

    def create(self, path: Path) -> int:
        self._count()
        descriptor = super().create(path)
        self._paths[descriptor] = path
        self._synced[path] = 0
        self._created.append(path)
        return descriptor

    def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
        self._count()
        return super().write(descriptor, parts)

    def truncate(self, descriptor: int, size: int) -> None:
        self._count()
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._count()
        self._synced[self._paths[descriptor]] = os.fstat(descriptor).st_size

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._paths.pop(descriptor, None)

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        backup = new.with_name(f"{len(self._moves)}.old")
        if new.exists():
            os.link(new, backup)
            self._synced[backup] = self._synced.get(new, 0)
        super().rename(old, new)
        self._synced[new] = self._synced.pop(old)
        self._moves.append((new, backup if backup.exists() else None))
        self._created = [new if path == old else path for path in self._created]

    def sync_folder(self, folder: Path) -> None:
        self._count()
        for _, backup in self._moves:
            if backup is not None:
                backup.unlink()
        self._moves.clear()
        self._created = [path for path in self._created if path.parent != folder]

    def cut(self, rng: random.Random, keep: str) -> None:
        """Leave on the disk what a power cut may leave there."""
        for path, certain in self._synced.items():
            if path.exists() and keep != "all":
                size = path.stat().st_size
                left = certain if keep == "none" else rng.randint(min(certain, size), size)
                os.truncate(path, left)
                if keep == "torn" and left > certain:
                    with path.open("r+b") as file:  # a block that never arrived reads as zeros
                        file.seek(certain)
                        file.write(bytes(min(left - certain, 100)))
        if keep == "none":
            for new, backup in reversed(self._moves):
                if backup is not None:
                    backup.replace(new)
            for path in self._created:
                if path not in [new for new, backup in self._moves if backup]:
                    path.unlink(missing_ok=True)
        for backup in {backup for _, backup in self._moves if backup}:
            backup.unlink(missing_ok=True)


@pytest.mark.parametrize("keep", ["none", "torn", "all"])
def test_a_power_cut_at_any_operation_takes_nothing_acknowledged(tmp_path: Path, keep: str) -> None:
    messages = short_session(8)
    storage = Mortal(last=10**9)
    write_stubbornly(tmp_path / "dry", messages, storage, lambda writer: None)
    rng = random.Random(0)
    for last in range(storage.operations):
        folder = tmp_path / f"at{last}"
        durable: dict[tuple[str, str], int] = {}
        storage = Mortal(last)
        with pytest.raises(PowerCut):
            write_stubbornly(
                folder,
                messages,
                storage,
                lambda writer, durable=durable: durable.update(writer.durable),  # type: ignore[misc]
            )
        storage.cut(rng, keep)
        if not (folder / MANIFEST).exists():
            assert not durable
            continue
        recover(folder)
        found = assert_nothing_false(folder, messages)
        for (camera, _), seq in durable.items():
            assert all((camera, n) in found for n in range(seq + 1)), f"operation {last}"


_CHILD = """
import sys, threading, time
from pathlib import Path
from test_session import make_frame, make_instant
from cvsf.session_writer import SessionWriter
writer = SessionWriter(Path(sys.argv[1]), segment_bytes=3_000_000)
def sync():
    while True:
        time.sleep(0.02)
        writer.sync()
        print(*[f"{c} {b} {s}" for (c, b), s in writer.durable.items()], sep=",", flush=True)
threading.Thread(target=sync, daemon=True).start()
seq = 0
while True:
    for camera in ("cam0", "cam1"):
        writer.write(make_frame(camera, seq, bytes([seq % 256]) * 20_000))
    writer.write(make_instant(seq))
    seq += 1
    time.sleep(0.002)
"""


@pytest.mark.parametrize("run_s", [0.3, 0.7, 1.1])
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, run_s: float) -> None:
    tests = Path(__file__).parent
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path / "s")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"},
    )
    assert child.stdout is not None
    lines = [child.stdout.readline()]
    time.sleep(run_s)
    child.send_signal(signal.SIGKILL)
    lines += [line for line in child.stdout.read().split("\n")[:-1] if line]
    child.wait()
    child.stdout.close()
    acknowledged = {
        camera: int(seq)
        for line in lines
        for camera, _, seq in (word.split() for word in line.strip().split(",") if word)
    }
    assert acknowledged
    with pytest.raises(Refusal, match="--recover"):
        SessionReader(tmp_path / "s")
    open_parts = len(list((tmp_path / "s").glob("*.part")))
    writer = SessionWriter(tmp_path / "s")  # the hub again
    next_number = len(list((tmp_path / "s").glob("*.mcap")))
    for camera, last in acknowledged.items():
        assert writer.durable[camera, "a"] >= last
    resumed = writer.durable["cam0", "a"] + 1
    writer.write(make_frame("cam0", resumed, bytes([resumed % 256]) * 20_000))
    writer.close()
    manifest = read_manifest(tmp_path / "s")
    assert manifest.segments[-1].file == f"seg-{next_number:06d}.mcap"
    assert manifest.segments[-2].recovered or not open_parts
    assert not list((tmp_path / "s").glob("*.part"))
    reader = SessionReader(tmp_path / "s")
    for camera, last in acknowledged.items():
        frames = list(reader.frames(camera))
        assert [frame.seq for frame in frames] == list(range(len(frames)))
        assert len(frames) > last
        assert all(frame.intact() for frame in frames)
    assert reader.damaged == 0


def left_open(folder: Path, messages: Sequence[Recordable]) -> Path:
    """The open file of a hub that was killed after it wrote the messages."""
    writer = SessionWriter(folder.with_name("alive"))
    for message in messages:
        writer.write(message)
    writer.sync()
    shutil.copytree(writer.folder, folder)
    writer.close()
    shutil.rmtree(writer.folder)
    (part,) = folder.glob("*.part")
    return part


def test_a_torn_end_costs_only_what_is_torn(tmp_path: Path) -> None:
    messages: list[Recordable] = [make_frame("cam0", seq, os.urandom(3000)) for seq in range(20)]
    part = left_open(tmp_path / "s", messages)
    whole, manifest = part.read_bytes(), (tmp_path / "s" / MANIFEST).read_bytes()
    rng = random.Random(1)
    for _ in range(25):
        size = rng.randint(0, len(whole))
        for old in (tmp_path / "s").glob("seg-*"):
            old.unlink()
        part.write_bytes(whole[:size])
        (tmp_path / "s" / MANIFEST).write_bytes(manifest)
        (segment,) = recover(tmp_path / "s").segments
        found = assert_nothing_false(tmp_path / "s", messages)
        assert [seq for _, seq in found] == list(range(len(found)))
        assert len(found) >= (size - 2000) // 3400
        assert segment.recovered
        assert segment.lost is not None
        assert segment.lost.bytes < 4500  # the first chunk also introduces its channel


def test_recovery_finds_every_interrupted_session_and_leaves_a_running_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        left_open(tmp_path / name, [make_frame("cam0", 0)])
    record(tmp_path / "c", [make_frame("cam0", 0)])
    running = SessionWriter(tmp_path / "d")
    caplog.clear()
    assert [path.name for path in recover_all(tmp_path)] == ["a", "b"]
    assert recover_all(tmp_path) == []
    assert not [r for r in caplog.records if "not recovered" in r.message]
    running.close()
    assert [f.seq for f in SessionReader(tmp_path / "b").frames()] == [0]


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


def test_damage_between_chunks_costs_nothing_behind_it(tmp_path: Path) -> None:
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(mount)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(writer: SessionWriter) -> int:
    """Record until the disk is full; the seq it refused."""
    for seq in range(1000):
        try:
            writer.write(make_frame("cam0", seq, b"x" * 100_000))
        except OSError:
            return seq
        if seq % 10 == 9:
            writer.sync()
    raise AssertionError("the disk never filled")


def test_a_full_disk_keeps_every_acknowledged_frame_readable(small_disk: Path) -> None:
    writer = SessionWriter(small_disk / "s")
    fill(writer)
    acknowledged = writer.durable["cam0", "a"]
    assert acknowledged > 150
    assert writer.close() <= 11
    reader = SessionReader(small_disk / "s")
    assert [f.seq for f in reader.frames()][: acknowledged + 1] == list(range(acknowledged + 1))
    assert reader.damaged == 0


def test_a_full_disk_that_is_emptied_loses_nothing(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(4 << 20))
    writer = SessionWriter(small_disk / "s")
    last = fill(writer)
    ballast.unlink()
    writer.retry()
    writer.write(make_frame("cam0", last + 1))
    assert writer.close() == 0
    reader = SessionReader(small_disk / "s")
    assert [f.seq for f in reader.frames()] == list(range(last + 2))
    assert len(reader.manifest.segments) >= 2


def test_a_read_only_disk_is_refused(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(Refusal, match="Read-only"):
        SessionWriter(small_disk / "s")

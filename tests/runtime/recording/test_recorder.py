"""Recording never makes the hub wait, and says durable of nothing that is not."""

import errno
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from cvsf.hub_config import HubConfig
from cvsf.messages import Frame, Instant
from cvsf.session.reader import SessionReader, read_manifest
from cvsf.session.statistics import Source
from cvsf.system.disk import Bytes, Storage
from cvsf.system.errors import Refusal
from runtime.ingest.camera_connection import OnDisk
from runtime.recording.recorder import Recorder
from tests.support import material
from tests.support.product import until

JPEG = b"\xff\xd8" + bytes(20_000)
FRAMES, POSES, NONE = (HubConfig(record=mode) for mode in ("frames", "poses", "none"))


def make_frame(seq: int, camera: str = "cam0", jpeg: bytes = JPEG) -> Frame:
    return material.make_frame(camera, seq, jpeg)


def make_instant(index: int) -> Instant:
    frames = {"cam0": ("a", index)}
    return Instant(index=index, t_ns=index, frames=frames, expected=("cam0",), spread_ns=0)


class Gate(Storage):
    """A disk whose sync waits, whose writes fail and whose free space is what it is told."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.refuses: int | None = None
        self.free = 10**12

    def create(self, path: Path) -> int:
        self._refuse()
        return super().create(path)

    def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
        self._refuse()
        return super().write(descriptor, parts)

    def sync(self, descriptor: int) -> None:
        assert self.open.wait(20)
        self._refuse()
        super().sync(descriptor)

    def space(self, folder: Path) -> tuple[int, int]:
        return self.free, 10**12

    def _refuse(self) -> None:
        if self.refuses is not None:
            raise OSError(self.refuses, os.strerror(self.refuses))


def recorded_seqs(folder: Path, camera: str = "cam0") -> list[int]:
    reader = SessionReader(folder)
    seqs = [frame.seq for frame in reader.frames(camera)]
    assert reader.damaged == 0
    return seqs


def test_what_is_put_is_recorded_and_then_durable(tmp_path: Path) -> None:
    durable: list[dict[Source, int]] = []
    recorder = Recorder(tmp_path / "s", FRAMES, on_durable=durable.append, sync_s=0.02)
    for seq in range(50):
        assert recorder.put(make_frame(seq))
        assert recorder.put(make_frame(seq, "cam1"))
        assert recorder.put(make_instant(recorder.next_instant()))
        if seq == 25:
            assert until(lambda: bool(durable))
    assert until(lambda: bool(durable) and durable[-1].get(("cam1", "a")) == 49)
    assert len(durable) > 1
    order = [step[("cam0", "a")] for step in durable if ("cam0", "a") in step]
    assert order == sorted(order)
    recorder.close()
    assert recorded_seqs(tmp_path / "s") == list(range(50))
    assert [i.index for i in SessionReader(tmp_path / "s").instants()] == list(range(50))
    assert recorder.recorded == Counter(frame=100, instant=50)
    assert not recorder.dropped


def test_nothing_is_durable_before_the_disk_has_synced(tmp_path: Path) -> None:
    gate, durable = Gate(), dict[Source, int]()
    recorder = Recorder(
        tmp_path / "s", FRAMES, on_durable=durable.update, storage=gate, sync_s=0.01
    )
    gate.open.clear()
    for seq in range(5):
        recorder.put(make_frame(seq))
    assert not until(lambda: bool(durable), 0.2)
    gate.open.set()
    assert until(lambda: durable == {("cam0", "a"): 4})
    recorder.close()


def test_a_disk_that_stalls_does_not_hold_up_the_hub(tmp_path: Path) -> None:
    gate = Gate()
    recorder = Recorder(tmp_path / "s", FRAMES, storage=gate, sync_s=0.01, queue_bytes=1_000_000)
    gate.open.clear()
    taken, slowest_s = [], 0.0
    for seq in range(200):
        started = time.perf_counter()
        if recorder.put(make_frame(seq)):
            taken.append(seq)
        slowest_s = max(slowest_s, time.perf_counter() - started)
        time.sleep(0.001)
    assert slowest_s < 5  # the disk would have held it up for 20 s
    assert 20 <= len(taken) <= 50
    assert recorder.dropped == {"queue full": 200 - len(taken)}
    gate.open.set()
    assert until(lambda: recorder.put(make_frame(200)))
    recorder.close()
    assert recorded_seqs(tmp_path / "s") == [*taken, 200]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_error_stops_recording_and_loses_nothing_taken(tmp_path: Path, code: int) -> None:
    gate, durable = Gate(), dict[Source, int]()
    recorder = Recorder(
        tmp_path / "s", FRAMES, on_durable=durable.update, storage=gate, sync_s=0.02
    )
    taken = [seq for seq in range(20) if recorder.put(make_frame(seq))]
    assert until(lambda: durable.get(("cam0", "a")) == 19)
    gate.refuses = code
    assert recorder.put(make_frame(20))
    taken.append(20)
    assert until(lambda: not recorder.recording)
    assert not recorder.put(make_frame(21))
    assert recorder.dropped == {f"disk error {errno.errorcode[code]}": 1}
    gate.refuses = None
    assert until(lambda: recorder.recording)
    assert recorder.put(make_frame(22))
    recorder.close()
    assert recorder.lost == 0
    assert recorded_seqs(tmp_path / "s") == [*taken, 22]
    assert len(read_manifest(tmp_path / "s").segments) >= 2
    assert durable == {("cam0", "a"): 22}


def test_a_disk_that_stays_broken_is_counted_at_the_end(tmp_path: Path) -> None:
    gate = Gate()
    recorder = Recorder(tmp_path / "s", FRAMES, storage=gate, sync_s=0.02)
    gate.refuses = errno.EIO
    recorder.put(make_frame(0))
    assert until(lambda: not recorder.recording)
    started = time.monotonic()
    recorder.close()
    assert time.monotonic() - started < 15
    assert recorder.lost == recorder.stats().to_map()["messages_lost"] == 1


def test_a_pause_seals_and_recording_goes_on_in_a_new_segment(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "s", FRAMES)
    recorder.put(make_frame(0))
    recorder.pause()
    assert not recorder.recording
    assert not recorder.put(make_frame(1))
    assert not recorder.put(make_instant(1))
    assert until(lambda: len(read_manifest(tmp_path / "s").segments) == 1)
    recorder.resume_recording()
    assert recorder.recording
    recorder.put(make_frame(2))
    recorder.close()
    assert recorder.dropped == recorder.dropped_others == {"paused": 1}
    first, second = read_manifest(tmp_path / "s").segments
    assert (first.ended, second.ended) == ("paused", "closed")
    assert second.ranges["cam0"][0].gaps == [(1, 1)]
    assert recorded_seqs(tmp_path / "s") == [0, 2]


def halted_by_a_full_disk(folder: Path) -> tuple[Recorder, Gate]:
    """A recorder that has stopped after frame 0, for want of room on its disk."""
    gate = Gate()
    recorder = Recorder(folder, FRAMES, storage=gate, sync_s=0.02)
    recorder.put(make_frame(0))
    gate.free = 4_000_000_000
    assert until(lambda: not recorder.recording)
    return recorder, gate


def test_recording_stops_before_the_disk_is_full_and_resumes_with_room(
    tmp_path: Path,
) -> None:
    recorder, gate = halted_by_a_full_disk(tmp_path / "s")
    assert not recorder.put(make_frame(1))
    assert recorder.stats().to_map()["recording_halted"] == {"space": "disk full"}
    assert recorder.stats().to_map()["disk_alarm"]
    assert until(lambda: len(read_manifest(tmp_path / "s").segments) == 1)
    gate.free = 10**11
    assert until(lambda: recorder.recording)
    recorder.put(make_frame(2))
    recorder.close()
    assert recorder.dropped == {"disk full": 1}
    assert recorded_seqs(tmp_path / "s") == [0, 2]


def test_record_pressed_on_a_full_disk_goes_on_by_itself_once_there_is_ample_room(
    tmp_path: Path,
) -> None:
    recorder, gate = halted_by_a_full_disk(tmp_path / "s")
    recorder.pause()
    recorder.resume_recording()
    assert recorder.stats().recording_halted == {"space": "disk full"}
    assert recorder.stats().disk_kept_free_gb == 5.0
    gate.free = 5_500_000_000  # above the limit, not yet a fifth above it
    assert not until(lambda: recorder.recording, 1.5)
    gate.free = 6_100_000_000
    assert until(lambda: recorder.recording)
    assert recorder.put(make_frame(1))
    recorder.close()
    assert recorded_seqs(tmp_path / "s") == [0, 1]
    assert all(SessionReader(tmp_path / "s").verify().values())
    assert [s.ended for s in read_manifest(tmp_path / "s").segments] == ["disk full", "closed"]


def test_too_little_room_is_refused_at_the_start(tmp_path: Path) -> None:
    gate = Gate()
    gate.free = 1_000_000_000
    with pytest.raises(Refusal, match=r"1\.0 GB are free.*--record none"):
        Recorder(tmp_path / "s", FRAMES, storage=gate)
    assert not (tmp_path / "s").exists()


def test_a_hub_restarted_on_a_full_disk_goes_on_live(tmp_path: Path) -> None:
    first = Recorder(tmp_path / "s", FRAMES)
    first.put(make_frame(0))
    first.close()
    gate = Gate()
    gate.free = 1_000_000_000
    second = Recorder(tmp_path / "s", FRAMES, storage=gate)
    assert until(lambda: not second.recording)
    assert not second.put(make_frame(1))
    second.close()
    assert recorded_seqs(tmp_path / "s") == [0]


def test_free_recording_time_follows_the_rate(tmp_path: Path) -> None:
    gate = Gate()
    gate.free = 15_000_000_000
    recorder = Recorder(tmp_path / "s", FRAMES, storage=gate)
    assert recorder.free_recording_s() is None
    assert recorder.free_recording_s(10_000_000) == pytest.approx(1000)
    for seq in range(100):
        recorder.put(make_frame(seq))
        time.sleep(0.02)
    assert until(lambda: recorder.free_recording_s() is not None)
    left_s = recorder.free_recording_s()
    recorder.close()
    assert left_s is not None
    assert 5_000 < left_s < 600_000  # at most about a megabyte a second


def test_poses_alone_are_recorded_without_pictures(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "s", POSES)
    assert not recorder.put(make_frame(0))
    assert recorder.put(make_instant(0))
    recorder.close()
    reader = SessionReader(tmp_path / "s")
    assert (len(list(reader.instants())), reader.manifest.frames) == (1, 0)
    assert reader.manifest.recording == "poses"
    assert not recorder.dropped


def test_no_recording_leaves_no_folder(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "s", NONE)
    assert not recorder.put(make_frame(0))
    assert not recorder.put(make_instant(recorder.next_instant()))
    recorder.pause()
    recorder.resume_recording()
    assert recorder.stats().to_map() == {"session": None, "recording": False}
    recorder.close()
    assert not (tmp_path / "s").exists()


def test_a_restarted_recorder_knows_what_is_on_disk(tmp_path: Path) -> None:
    first = Recorder(tmp_path / "s", FRAMES)
    for seq in range(3):
        first.put(make_frame(seq))
        first.put(make_instant(first.next_instant()))
    first.close()
    second = Recorder(tmp_path / "s", FRAMES)
    assert second.resume == {("cam0", "a"): OnDisk(last=2, frames=3)}
    assert second.next_instant() == 3
    second.put(make_frame(3))
    second.close()
    assert recorded_seqs(tmp_path / "s") == [0, 1, 2, 3]
    assert len(read_manifest(tmp_path / "s").segments) == 2


def test_closing_seals_every_frame_that_was_taken(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "s", FRAMES)
    picture = os.urandom(100_000)
    taken = sum(recorder.put(make_frame(seq, jpeg=picture)) for seq in range(300))
    started = time.monotonic()
    recorder.close()
    assert time.monotonic() - started < 15
    assert taken == 300
    assert read_manifest(tmp_path / "s").sealed
    assert len(recorded_seqs(tmp_path / "s")) == 300


def test_events_are_recorded_beside_the_messages(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "s", FRAMES)
    recorder.put_event("engine swapped", engine="b", before="a")
    recorder.close()
    events = list(SessionReader(tmp_path / "s").events())
    assert [e["event"] for e in events] == ["segment_start", "engine swapped", "segment_end"]
    assert events[1]["engine"] == "b"

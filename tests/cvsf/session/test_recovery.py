"""What is acknowledged stays when the hub is killed, and what it left open is made whole."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cvsf.session.reader import MANIFEST, SessionReader, read_manifest
from cvsf.session.recovery import recover, recover_all
from cvsf.session.statistics import Recordable
from cvsf.session.writer import SessionWriter
from cvsf.system.errors import Refusal
from tests.support.material import assert_nothing_false, make_frame, record
from tests.support.paths import ROOT

_CHILD = """
import sys, threading, time
from pathlib import Path
from tests.support.material import make_frame, make_instant
from cvsf.session.writer import SessionWriter
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
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path / "s")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
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


def test_a_segment_with_a_torn_end_loses_only_the_torn_messages(tmp_path: Path) -> None:
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

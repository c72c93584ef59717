"""How runs end, and how they go on when a part of them is killed, stopped or out of room."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cvsf.session.reader import SessionReader, read_manifest
from tests.support.fake_camera import FPS, HEIGHT, WIDTH, FakeCamera
from tests.support.product import CAPTURE, HUB, Run, accounted, processes, readable, running, until

SMALL = ["--size", f"{WIDTH}x{HEIGHT}", "--fps", f"{FPS:g}", "--headless"]
SIM = [*CAPTURE, "--cams", "2", "--source", "sim", *SMALL]


def family(run: Run) -> set[int]:
    return {*run.children("hub"), *run.children("node")}


def is_caught(run: Run, number: int) -> bool:
    """Whether the process has a handler for that signal."""
    status = Path(f"/proc/{run.process.pid}/status").read_text()
    (mask,) = (row.split()[1] for row in status.splitlines() if row.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def gone(pids: set[int]) -> bool:
    return not pids & {pid for pid, _, _ in processes()}


def is_whole(final: dict[str, Any]) -> bool:
    """Whether the session is sealed and holds exactly what the final account says."""
    session = Path(final["session"])
    recorded = {c: figures["recorded"] for c, figures in final["cameras"].items()}
    return (
        final["final"]
        and accounted(final["cameras"])
        and read_manifest(session).sealed
        and readable(session) == recorded
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_signal_at_any_moment_ends_all_processes_and_seals_the_session(
    tmp_path: Path, ports: list[str], seed: int
) -> None:
    rng = random.Random(seed)
    with running([*SIM, "--data", str(tmp_path), *ports]) as run:
        time.sleep(rng.uniform(0.3, 0.8) + seed)
        assert until(lambda: is_caught(run, signal.SIGTERM)), "Python has started"
        pids = family(run)
        assert run.ask_to_end(rng.choice([signal.SIGINT, signal.SIGTERM])) < 15  # 2 where idle
        assert run.process.returncode == 0, run.said
    assert gone(pids)
    assert "Traceback" not in "".join(run.said)
    for session in (tmp_path / "sessions").glob("*"):
        assert read_manifest(session).sealed
        assert is_whole(run.lines[-1])


@pytest.mark.slow
def test_a_supervisor_killed_while_it_starts_leaves_no_orphan(
    tmp_path: Path, ports: list[str]
) -> None:
    with running([*SIM, "--data", str(tmp_path), *ports]) as run:
        assert until(lambda: len(family(run)) == 3)
        time.sleep(0.6)
        pids = family(run)
        run.process.kill()
        run.process.wait()
        assert until(lambda: gone(pids), 15)
    for session in (tmp_path / "sessions").glob("*"):
        assert read_manifest(session).sealed


@pytest.mark.slow
def test_a_closed_pipe_of_the_figures_does_not_end_the_recording(
    tmp_path: Path, ports: list[str]
) -> None:
    words = ["--duration", "3", "--data", str(tmp_path), *ports]
    with running(["bash", "-c", 'set -o pipefail; "$@" | head -1', "-", *SIM, *words]) as run:
        run.process.wait(40)
    assert run.process.returncode == 0, run.said
    assert len(run.lines) == 1
    (session,) = (tmp_path / "sessions").iterdir()
    assert read_manifest(session).sealed
    assert min(readable(session).values()) > 10


@pytest.mark.slow
def test_every_frame_is_counted_when_the_hub_is_killed_three_times(
    tmp_path: Path, ports: list[str]
) -> None:
    rng = random.Random(5)
    with running([*SIM, "--data", str(tmp_path), *ports]) as run:
        assert until(lambda: bool(run.lines) and run.lines[-1]["instants"] > 3, 30), run.said
        for _ in range(3):
            time.sleep(rng.uniform(0.0, 1.5))
            assert until(lambda: bool(run.children("hub")), 15)
            (hub,) = run.children("hub")
            os.kill(hub, signal.SIGKILL)
            assert until(lambda pid=hub: pid not in run.children("hub"))  # type: ignore[misc]
        run.ask_to_end()  # without a hub, which is started once more to seal
        assert run.process.returncode == 0, run.said
    assert is_whole(run.lines[-1])
    for camera in run.lines[-1]["cameras"].values():
        assert camera["in_ring"] == 0
        # a simulated camera that this machine stalls drops pictures before it has taken them
        assert camera["dropped"] == camera["dropped_by"].get("missed by the source", 0)
    reader = SessionReader(Path(run.lines[-1]["session"]))
    assert len(reader.manifest.segments) >= 2
    instants = [instant.index for instant in reader.instants()]
    assert len(instants) == len(set(instants))


@pytest.mark.slow
def test_a_stopped_node_is_silent_and_its_camera_comes_back(
    tmp_path: Path, ports: list[str]
) -> None:
    with running([*SIM, "--data", str(tmp_path), *ports]) as run:
        assert until(lambda: bool(run.lines) and run.lines[-1]["instants_full"] > 3, 30), run.said
        node = run.children("node")[0]
        os.kill(node, signal.SIGSTOP)
        before = run.lines[-1]

        def goes_on_alone() -> bool:
            line = run.lines[-1]
            silent = "silent" in {camera["state"] for camera in line["cameras"].values()}
            return bool(silent and line["instants"] > before["instants"] + 16)

        assert until(goes_on_alone, 30), "the other goes on alone"
        during = run.lines[-1]
        os.kill(node, signal.SIGCONT)
        assert until(lambda: run.lines[-1]["instants_full"] > during["instants_full"] + 8, 30)
        run.ask_to_end()
        assert run.process.returncode == 0
    assert is_whole(run.lines[-1])
    missed = [
        c["dropped_by"].get("missed by the source", 0) for c in run.lines[-1]["cameras"].values()
    ]
    assert max(missed) > 8
    assert "process died, restarting it" not in "".join(run.said)


@pytest.mark.slow
def test_a_disk_that_fills_up_stops_the_recording_and_nothing_else(
    small_disk: Path, ports: list[str], tmp_path: Path
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[hub]\nmin_free_gb = 0.0\n")
    words = ["--detector", "sim-skier", "--anchor-ns", "0", "--headless", "--config", str(config)]
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    with running([*HUB, *words, "--data", str(small_disk), *ports]) as hub:
        camera = FakeCamera("cam0", ports[1])

        def shoot_until(happened: str) -> bool:
            def more() -> bool:
                for _ in range(4):
                    camera.shoot(jpeg)
                return bool(hub.lines) and happened in hub.lines[-1]["recording_halted"].values()

            return until(more, 30)

        assert until(lambda: (small_disk / "sessions").exists(), 20), hub.said
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(10 << 20))
        assert shoot_until("disk error ENOSPC"), hub.lines[-1]
        instants = hub.lines[-1]["instants"]

        def goes_on() -> bool:
            camera.shoot(jpeg)
            return bool(hub.lines[-1]["instants"] > instants)

        assert until(goes_on, 30), "live goes on"
        ballast.unlink()
        assert until(lambda: hub.lines[-1]["recording"] is True), hub.lines[-1]
        for _ in range(10):
            camera.shoot(jpeg)
        camera.close()
        hub.ask_to_end()
        assert hub.process.returncode == 0, hub.said
    final = hub.lines[-1]
    assert is_whole(final), final
    assert final["cameras"]["cam0"]["in_ring"] == 0
    assert final["cameras"]["cam0"]["not_kept"] == final["not_recorded"].get("disk error ENOSPC", 0)


def test_files_of_different_length_stop_at_the_shortest_with_one_line_in_the_log(
    tmp_path: Path, ports: list[str]
) -> None:
    for name, length in (("cam0", 30), ("cam1", 9)):
        film(tmp_path / f"{name}.mp4", length)
    words = ["--cams", "2", "--source", str(tmp_path / "cam*.mp4"), "--detector", "sim-skier"]
    data = ["--data", str(tmp_path / "data"), "--headless"]
    with running([*CAPTURE, *words, *data, *ports]) as run:
        run.process.wait(40)
    assert run.process.returncode == 0, run.said
    final = run.lines[-1]
    assert final["instants"] == final["instants_full"] == 9
    assert final["frames_beyond_shortest"] >= 1
    assert sum("a shorter one has ended" in line for line in run.said) == 1
    assert is_whole(final)


def film(path: Path, length: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
    rng = np.random.default_rng(0)
    for _ in range(length):
        writer.write(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))
    writer.release()

"""The product as a user starts it: real processes on loopback, from lens to client to disk."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from cvsf.client import skeletons
from cvsf.session.reader import SessionReader, read_manifest
from tests.support.paths import ROOT
from tests.support.product import CAPTURE, HUB, accounted, processes, running, until


def sim(tmp_path: Path, ports: list[str], *more: str) -> list[str]:
    # half the rate and size, so that the suite may share two cores with other work
    words = ["--cams", "4", "--source", "sim", "--size", "320x240", "--fps", "8", "--headless"]
    return [*CAPTURE, *words, "--data", str(tmp_path), *ports, *more]


def listening(pids: set[int]) -> set[str]:
    """Local addresses (hex, as the kernel prints them) of the listening sockets of processes."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(entry.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = row.split()
            if columns[3] == "0A" and columns[9] in inodes:
                found.add(columns[1].rpartition(":")[0])
    return found


def test_four_simulated_cameras_become_one_recorded_skeleton(
    tmp_path: Path, ports: list[str]
) -> None:
    with running(
        sim(tmp_path, ports, "--name", "first", "--truth", str(tmp_path / "t.npz"))
    ) as run:
        assert until(lambda: bool(run.lines) and run.lines[-1]["skeletons"] > 10, 60), run.said
        received = []
        for skeleton in skeletons("127.0.0.1", int(ports[3]), timeout_s=10):
            received.append(skeleton)
            if len(received) == 3:
                break
        assert received[-1].instant > received[0].instant
        family = {run.process.pid, *run.children("hub"), *run.children("node")}
        assert len(family) == 6
        assert listening(family) == {"0100007F"}, "only loopback is listened on"
        assert run.ask_to_end(signal.SIGINT) < 15  # 2 where idle
        assert run.process.returncode == 0, run.said
    final = run.lines[-1]
    assert final["final"] is True
    protocol = (ROOT / "docs" / "protocol.md").read_text()
    told = set(final) | set(final["cameras"]["cam0"])
    assert not {key for key in told if f"`{key}`" not in protocol}
    assert accounted(final["cameras"])
    assert sum(c["in_ring"] for c in final["cameras"].values()) == 0
    session = Path(final["session"])
    manifest = read_manifest(session)
    assert manifest.sealed
    assert session.name.endswith("-first")
    reader = SessionReader(session)
    frames = {(f.camera, f.boot_id, f.seq): f for f in reader.frames()}
    assert all(f.intact() for f in frames.values())
    for instant in reader.instants():
        assert all((c, *source) in frames for c, source in instant.frames.items())
    assert len(list(reader.skeletons())) >= final["skeletons"]
    with (session / manifest.segments[0].file).open("rb") as file:
        assert sum(1 for _ in make_reader(file).iter_messages()) > 100
    with np.load(tmp_path / "t.npz") as truth:
        known = {int(t) for t in truth["raw_ns"].ravel()}
    assert {f.raw_ns for f in frames.values()} <= known
    header = next(iter(frames.values()))
    assert not {"joints_mm", "truth_px"} & set(dir(header))


@pytest.mark.slow
def test_a_killed_node_is_started_again_and_the_others_go_on(
    tmp_path: Path, ports: list[str]
) -> None:
    with running(sim(tmp_path, ports)) as run:
        assert until(lambda: bool(run.lines) and run.lines[-1]["instants_full"] > 5, 60), run.said
        node = run.children("node")[0]
        os.kill(node, signal.SIGKILL)
        assert until(
            lambda: node not in run.children("node") and len(run.children("node")) == 4, 20
        )
        full = run.lines[-1]["instants_full"]
        assert until(lambda: run.lines[-1]["instants_full"] > full + 10, 40), run.lines[-1]
        run.ask_to_end()
        assert run.process.returncode == 0


@pytest.mark.slow
def test_a_killed_supervisor_leaves_no_orphan_and_a_sealed_session(
    tmp_path: Path, ports: list[str]
) -> None:
    with running(sim(tmp_path, ports)) as run:
        assert until(lambda: bool(run.lines) and run.lines[-1]["instants"] > 5, 60), run.said
        family = {*run.children("hub"), *run.children("node")}
        run.process.kill()
        run.process.wait()
        assert until(lambda: not family & {pid for pid, _, _ in processes()}, 20)
    (session,) = (tmp_path / "sessions").iterdir()
    assert read_manifest(session).sealed


@pytest.mark.slow
def test_a_recorded_session_plays_again_to_the_same_skeletons(
    tmp_path: Path, ports: list[str]
) -> None:
    with running(sim(tmp_path / "a", ports, "--duration", "4")) as run:
        run.process.wait(60)
    recorded = Path(run.lines[-1]["session"])
    words = ["--cams", "4", "--source", str(recorded), "--headless", "--data", str(tmp_path / "b")]
    with running([*CAPTURE, *words, *ports]) as again:
        again.process.wait(60)
    assert again.process.returncode == 0, again.said
    first = {s.t_ns: s for s in SessionReader(recorded).skeletons()}
    second = {s.t_ns: s for s in SessionReader(Path(again.lines[-1]["session"])).skeletons()}
    assert first.keys() == second.keys()
    assert len(first) > 10
    for t_ns, skeleton in first.items():
        np.testing.assert_allclose(second[t_ns].joints, skeleton.joints, atol=1e-4)


@pytest.mark.slow
def test_two_captures_of_two_cameras_and_one_hub_give_one_skeleton(
    tmp_path: Path, ports: list[str]
) -> None:
    hub_words = ["--detector", "sim-skier", "--headless", "--data", str(tmp_path), *ports]
    few = ["--size", "320x240", "--fps", "8", "--headless", "--hub", f"127.0.0.1:{ports[1]}"]
    with running([*HUB, *hub_words]) as hub:
        with (
            running([*CAPTURE, "--cams", "2", "--source", "sim:0,1", *few]) as left,
            running([*CAPTURE, "--cams", "2", "--source", "sim:2,3", *few]) as right,
        ):
            assert until(lambda: bool(hub.lines) and hub.lines[-1]["instants_full"] > 15, 60), (
                hub.said
            )
            assert set(hub.lines[-1]["cameras"]) == {"cam0", "cam1", "cam2", "cam3"}
            for part in (left, right):
                part.ask_to_end()
                assert part.process.returncode == 0
                assert set(part.lines[-1]["cameras"]) <= {"cam0", "cam1", "cam2", "cam3"}
        hub.ask_to_end()
        assert hub.process.returncode == 0
    assert any(len(s.views) == 4 for s in SessionReader(Path(hub.lines[-1]["session"])).skeletons())

"""The calibration process beside the hub: fed, stopped, killed, and what a session keeps of it."""

import errno
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.metric_scale import Scale
from cvsf.hub_config import HubConfig
from cvsf.messages import unpack
from cvsf.multiview.calibration import Calibration
from cvsf.session.calibrations import (
    CAMERAS,
    CalibrationUpdate,
    calibrations,
    cameras_file,
    read_cameras,
    to_event,
)
from cvsf.session.reader import SessionReader
from cvsf.system.disk import Storage
from runtime.calibration import calibrator_process
from runtime.calibration.calibrator_client import CalibratorClient
from runtime.calibration.known_cameras import known_cameras
from runtime.calibration.observation_codec import LiftedPose
from runtime.recording.recorder import Recorder
from tests.support.filmed import HZ, SIZE, Filmed, film_skier
from tests.support.instants import instants_of
from tests.support.lenses import made_lens
from tests.support.material import make_pose
from tests.support.product import processes, until


@pytest.fixture(scope="module")
def take() -> Filmed:
    return film_skier(4, seed=1_000_007)


@pytest.fixture(scope="module")
def found(take: Filmed) -> Calibration:
    return calibrate(take.observations)


@pytest.fixture
def client(take: Filmed) -> Iterator[CalibratorClient]:
    size = (float(SIZE[0]), float(SIZE[1]))
    lenses = {"cam0": made_lens(take.views[0].focal_px, size, ())}
    client = CalibratorClient(Scale(height_m=1.75), first_s=1.0, most_hz=HZ, lenses=lenses)
    yield client
    client.close()


def _feed(
    client: CalibratorClient, take: Filmed, count: int, hz: float = 2 * HZ
) -> list[CalibrationUpdate]:
    """The updates while the take passes, and until there is one."""
    updates: list[CalibrationUpdate] = []
    for seen in instants_of(take.observations)[:count]:
        client.send(seen)
        updates += client.updates(0)
        time.sleep(1 / hz)
    end_s = time.monotonic() + 15
    while not updates and time.monotonic() < end_s:
        time.sleep(0.05)
        updates += client.updates(0)
    return updates


def test_the_calibration_process_finds_the_cameras_and_ends_with_its_hub(
    take: Filmed, client: CalibratorClient
) -> None:
    pid = client._process.pid
    updates = _feed(client, take, 3 * HZ)
    assert updates[0].cause == "first"
    assert updates[0].calibration.rig.cameras == take.observations.cameras
    assert updates[0].calibration.scale_source == "height"
    known_px = take.views[0].focal_px
    assert updates[0].calibration.rig.focal_px[0] == pytest.approx(known_px, rel=3e-3)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert until(lambda: os.getpriority(os.PRIO_PROCESS, pid) - own == calibrator_process.NICE)
    client.close()
    assert not [p for p, _, _ in processes() if p == pid]


def test_a_calibration_found_before_a_reported_loss_is_ignored(
    take: Filmed, client: CalibratorClient
) -> None:
    for seen in instants_of(take.observations)[: 3 * HZ]:
        client.send(seen)
        time.sleep(0.5 / HZ)
    while True:  # until it has found them; what it refused before does not count
        assert select.select([client._socket], [], [], 15)[0]
        if unpack(client._socket.recv(1 << 20, socket.MSG_PEEK), trusted=True)["kind"] == "found":
            break
        assert not client.updates(0)
    client.all_lost(seen.t_s)
    assert not client.updates(0)


def test_a_loss_is_sent_again_until_the_socket_has_room(
    take: Filmed, client: CalibratorClient
) -> None:
    process = client._process.pid
    os.kill(process, signal.SIGSTOP)
    seen = instants_of(take.observations)[0]
    for second in range(3000):
        client.send(_at(seen, second))
    client.all_lost(3000.0)
    assert client._lost_s is not None
    os.kill(process, signal.SIGCONT)

    def is_sent() -> bool:
        client.send(_at(seen, 10**4))
        return client._lost_s is None

    assert until(is_sent)


def test_a_calibration_process_that_dies_is_restarted(
    take: Filmed, client: CalibratorClient, found: Calibration
) -> None:
    client.resume(found)
    os.kill(client._process.pid, signal.SIGKILL)
    assert until(lambda: client.updates(0) == [] and not client._alive)
    seen = instants_of(take.observations)[0]
    seconds = count(1000)

    def is_restarted() -> bool:
        client.send(_at(seen, next(seconds)))
        return client.starts == 2

    assert until(is_restarted, 20)
    assert client._process.poll() is None
    assert client.left_out > 0


def test_a_stopped_calibration_process_does_not_block_the_hub(
    take: Filmed, client: CalibratorClient
) -> None:
    os.kill(client._process.pid, signal.SIGSTOP)
    seen = instants_of(take.observations)[0]
    begun_s = time.perf_counter()
    for second in range(3000):
        client.send(_at(seen, second))
    assert client.left_out > 0, "what it has no room for is left out and counted"
    assert time.perf_counter() - begun_s < 20
    assert client.updates(0) == []
    begun_s = time.perf_counter()
    client.close()
    assert time.perf_counter() - begun_s < 20


def _at(seen: LiftedPose, second: int) -> LiftedPose:
    return replace(seen, pose=replace(seen.pose, t_ns=second * 10**9))


def _update(found: Calibration, number: int = 1, t_ns: int = 10**9) -> CalibrationUpdate:
    return CalibrationUpdate(
        t_ns=t_ns, number=number, cause="first", moved=("cam2",), calibration=found
    )


def test_a_session_records_each_calibration_with_the_time_from_which_it_holds(
    tmp_path: Path, found: Calibration
) -> None:
    recorder = Recorder(tmp_path / "s", HubConfig(record="poses"), min_free_bytes=0)
    later = replace(found, instants=99)
    for number, calibration in enumerate((found, later), 1):
        recorder.put(make_pose(number))
        recorder.put_calibration(_update(calibration, number, number * 10**9))
    recorder.close()
    read = list(calibrations(SessionReader(tmp_path / "s")))
    assert [(h.number, h.t_ns, h.cause, h.moved) for h in read] == [
        (1, 10**9, "first", ("cam2",)),
        (2, 2 * 10**9, "first", ("cam2",)),
    ]
    assert np.array_equal(read[0].calibration.rig.view_from_world, found.rig.view_from_world)
    newest = read_cameras(tmp_path / "s" / CAMERAS)
    assert (newest.calibration.instants, newest.number) == (99, 2)
    replayed = known_cameras(tmp_path / "s")
    assert [n.calibration.instants for n in replayed.updates(3 * 10**9)] == [found.instants, 99]
    assert known_cameras(tmp_path / "s" / CAMERAS).updates(0)[0].cause == "known"


def test_cameras_found_while_recording_is_paused_come_first_after_it(
    tmp_path: Path, found: Calibration
) -> None:
    recorder = Recorder(tmp_path / "s", HubConfig(record="poses"), min_free_bytes=0)
    recorder.put(make_pose(0))
    recorder.pause()
    recorder.put_calibration(_update(found))
    assert recorder.put(make_pose(1)) is False
    recorder.resume_recording()
    recorder.put(make_pose(2))
    recorder.close()
    reader = SessionReader(tmp_path / "s")
    assert [held.number for held in calibrations(reader)] == [1]
    assert reader.manifest.segments[1].counts["/event"] == 3


class _NoCameras(Storage):
    """A disk that takes everything but `cameras.json`."""

    def create(self, path: Path) -> int:
        if path.name.startswith(CAMERAS):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path)


def test_a_disk_that_refuses_the_file_of_the_cameras_costs_nothing_else(
    tmp_path: Path, found: Calibration, caplog: pytest.LogCaptureFixture
) -> None:
    config = HubConfig(record="poses")
    recorder = Recorder(tmp_path / "s", config, storage=_NoCameras(), min_free_bytes=0)
    recorder.put(make_pose(0))
    recorder.put_calibration(_update(found))
    recorder.close()
    assert "cameras.json not written" in caplog.messages
    assert not (tmp_path / "s" / CAMERAS).exists()
    assert [held.number for held in calibrations(SessionReader(tmp_path / "s"))] == [1]


def test_a_garbled_calibration_is_left_out(
    tmp_path: Path, found: Calibration, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(tmp_path / "s", HubConfig(record="poses"), min_free_bytes=0)
    event = to_event(_update(found))
    plain = json.loads(cameras_file(event))
    recorder.put_event("calibration", **event | {"cameras": plain | {"rig": {}}})
    recorder.close()
    assert list(calibrations(SessionReader(tmp_path / "s"))) == []
    assert "calibration left out" in caplog.messages

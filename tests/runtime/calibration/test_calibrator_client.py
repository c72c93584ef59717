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
from cvsf.multiview.rig import Calibration
from cvsf.session.calibrations import (
    CAMERAS,
    Held,
    calibrations,
    cameras_file,
    read_cameras,
    to_event,
)
from cvsf.session.reader import SessionReader
from cvsf.system.disk import Storage
from runtime.calibration import calibrator_process
from runtime.calibration.calibrator_client import News, Survey
from runtime.calibration.known_cameras import known_cameras
from runtime.recording.recorder import Recorder
from tests.support.filmed import HZ, Filmed, film_skier
from tests.support.material import make_pose
from tests.support.product import processes, until


@pytest.fixture(scope="module")
def take() -> Filmed:
    return film_skier(4, seed=1_000_007)


@pytest.fixture(scope="module")
def found(take: Filmed) -> Calibration:
    return calibrate(take.observations)


@pytest.fixture
def survey() -> Iterator[Survey]:
    survey = Survey(Scale(height_m=1.75), first_s=1.0, most_hz=HZ)
    yield survey
    survey.close()


def _feed(survey: Survey, take: Filmed, count: int, hz: float = 2 * HZ) -> list[News]:
    """What the surveyor says while the take passes, and until it has said something."""
    news: list[News] = []
    for n in range(count):
        seen = take.observations.take(slice(n, n + 1))
        survey.see(seen, round(float(seen.t_s[0]) * 1e9))
        news += survey.news(0)
        time.sleep(1 / hz)
    end_s = time.monotonic() + 15
    while not news and time.monotonic() < end_s:
        time.sleep(0.05)
        news += survey.news(0)
    return news


def test_the_calibration_process_finds_the_cameras_and_ends_with_its_hub(
    take: Filmed, survey: Survey
) -> None:
    pid = survey._process.pid
    news = _feed(survey, take, 3 * HZ)
    assert news[0].cause == "first"
    assert news[0].calibration.rig.cameras == take.observations.cameras
    assert news[0].calibration.scale_source == "height"
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert until(lambda: os.getpriority(os.PRIO_PROCESS, pid) - own == calibrator_process.NICE)
    survey.close()
    assert not [p for p, _, _ in processes() if p == pid]


def test_a_calibration_found_before_a_reported_loss_is_ignored(
    take: Filmed, survey: Survey
) -> None:
    for n in range(3 * HZ):
        seen = take.observations.take(slice(n, n + 1))
        survey.see(seen, round(float(seen.t_s[0]) * 1e9))
        time.sleep(0.5 / HZ)
    while True:  # until it has found them; what it refused before does not count
        assert select.select([survey._end], [], [], 15)[0]
        if unpack(survey._end.recv(1 << 20, socket.MSG_PEEK), trusted=True)["kind"] == "found":
            break
        assert not survey.news(0)
    survey.lose(float(seen.t_s[0]))
    assert not survey.news(0)


def test_a_loss_is_sent_again_until_the_socket_has_room(take: Filmed, survey: Survey) -> None:
    process = survey._process.pid
    os.kill(process, signal.SIGSTOP)
    seen = take.observations.take(slice(0, 1))
    for second in range(3000):
        survey.see(seen, second * 10**9)
    survey.lose(3000.0)
    assert survey._lost_s is not None
    os.kill(process, signal.SIGCONT)

    def is_said() -> bool:
        survey.see(seen, 10**13)
        return survey._lost_s is None

    assert until(is_said)


def test_a_calibration_process_that_dies_is_restarted(
    take: Filmed, survey: Survey, found: Calibration
) -> None:
    survey.hold(found)
    os.kill(survey._process.pid, signal.SIGKILL)
    assert until(lambda: survey.news(0) == [] and not survey._alive)
    seen = take.observations.take(slice(0, 1))
    seconds = count(1000)

    def is_restarted() -> bool:
        survey.see(seen, next(seconds) * 10**9)
        return survey.starts == 2

    assert until(is_restarted, 20)
    assert survey._process.poll() is None
    assert survey.left_out > 0


def test_a_stopped_calibration_process_does_not_block_the_hub(take: Filmed, survey: Survey) -> None:
    os.kill(survey._process.pid, signal.SIGSTOP)
    seen = take.observations.take(slice(0, 1))
    begun_s = time.perf_counter()
    for second in range(3000):
        survey.see(seen, second * 10**9)
    assert survey.left_out > 0, "what it has no room for is left out and counted"
    assert time.perf_counter() - begun_s < 20
    assert survey.news(0) == []
    begun_s = time.perf_counter()
    survey.close()
    assert time.perf_counter() - begun_s < 20


def _held(found: Calibration, number: int = 1, t_ns: int = 10**9) -> Held:
    return Held(t_ns=t_ns, number=number, cause="first", moved=("cam2",), calibration=found)


def test_a_session_records_each_calibration_with_the_time_from_which_it_held(
    tmp_path: Path, found: Calibration
) -> None:
    recorder = Recorder(tmp_path / "s", HubConfig(record="poses"), min_free_bytes=0)
    later = replace(found, instants=99)
    for number, calibration in enumerate((found, later), 1):
        recorder.put(make_pose(number))
        recorder.put_calibration(_held(calibration, number, number * 10**9))
    recorder.close()
    read = list(calibrations(SessionReader(tmp_path / "s")))
    assert [(h.number, h.t_ns, h.cause, h.moved) for h in read] == [
        (1, 10**9, "first", ("cam2",)),
        (2, 2 * 10**9, "first", ("cam2",)),
    ]
    assert np.array_equal(read[0].calibration.rig.view_from_world, found.rig.view_from_world)
    newest, number = read_cameras(tmp_path / "s" / CAMERAS)
    assert (newest.instants, number) == (99, 2)
    replayed = known_cameras(tmp_path / "s")
    assert [n.calibration.instants for n in replayed.news(3 * 10**9)] == [found.instants, 99]
    assert known_cameras(tmp_path / "s" / CAMERAS).news(0)[0].cause == "known"


def test_cameras_found_while_recording_is_paused_come_first_after_it(
    tmp_path: Path, found: Calibration
) -> None:
    recorder = Recorder(tmp_path / "s", HubConfig(record="poses"), min_free_bytes=0)
    recorder.put(make_pose(0))
    recorder.pause()
    recorder.put_calibration(_held(found))
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
    recorder.put_calibration(_held(found))
    recorder.close()
    assert "cameras not written" in caplog.messages
    assert not (tmp_path / "s" / CAMERAS).exists()
    assert [held.number for held in calibrations(SessionReader(tmp_path / "s"))] == [1]


def test_a_garbled_calibration_is_left_out(
    tmp_path: Path, found: Calibration, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(tmp_path / "s", HubConfig(record="poses"), min_free_bytes=0)
    event = to_event(_held(found))
    plain = json.loads(cameras_file(event))
    recorder.put_event("calibration", **event | {"cameras": plain | {"rig": {}}})
    recorder.close()
    assert list(calibrations(SessionReader(tmp_path / "s"))) == []
    assert "calibration left out" in caplog.messages

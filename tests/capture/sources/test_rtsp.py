"""RTSP over loopback: FFmpeg's own sender in another process, and addresses that are silent."""

import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import simplejpeg

from capture.open_source import find_sources, open_source
from capture.sources import rtsp
from capture.sources.rtsp import RtspCamera, SenderClock, shown
from capture.sources.source import SourceConfig, SourceLost
from cvsf.system.errors import Refusal
from tests.support.product import until

SENDER = """
import sys, time
import av, numpy as np
def play():
    with av.open(sys.argv[1], "w", format="rtsp", options={"rtsp_transport": "tcp"}) as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 161, 120, "yuv420p"
        stream.options = {"g": "5"}
        for i in range(1500):
            picture = np.full((120, 161, 3), i % 250, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            time.sleep(0.04)
for _ in range(40):  # until the camera listens
    try:
        play()
    except OSError:
        time.sleep(0.1)
"""
LISTEN = {"rtsp_flags": "listen", "listen_timeout": "4"}  # here the camera calls us


@pytest.fixture
def sender() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"rtsp://127.0.0.1:{probe.getsockname()[1]}/live"
    with subprocess.Popen(
        [sys.executable, "-c", SENDER, url], stderr=subprocess.DEVNULL
    ) as process:
        yield url, process
        process.kill()


def drain(camera: RtspCamera) -> None:
    for _ in range(30):
        camera.read(0.5)


def test_a_stream_gives_stamped_pictures_the_newest_first_and_is_lost_when_it_breaks(
    sender: tuple[str, "subprocess.Popen[bytes]"],
) -> None:
    url, process = sender
    camera = RtspCamera(url, SourceConfig(), LISTEN)
    assert (camera.pace, camera.width_px, camera.height_px) == ("live", 161, 120)
    assert camera.fps == pytest.approx(25, abs=1)
    exposures = [e for _ in range(10) if (e := camera.read(1.0)) is not None]
    assert len(exposures) == 10
    assert all(b.raw_ns > a.raw_ns for a, b in itertools.pairwise(exposures))
    assert {e.stamp for e in exposures} <= {"rtcp", "arrival"}
    assert 0 <= time.monotonic_ns() - exposures[-1].raw_ns < 20_000_000_000
    assert simplejpeg.decode_jpeg(exposures[-1].jpeg).shape == (120, 161, 3)

    def is_five_behind() -> bool:
        time.sleep(0.4)
        late = camera.read(1.0)
        return late is not None and late.missed >= 5

    assert until(is_five_behind, 20)
    process.kill()
    with pytest.raises(SourceLost, match="stopped"):
        drain(camera)
    camera.close()


def test_an_address_where_nobody_listens_is_refused() -> None:
    with pytest.raises(Refusal, match="no camera answers"):
        find_sources("rtsp://127.0.0.1:1/live", 1)
    with pytest.raises(Refusal, match="gives no video"):
        open_source("rtsp://127.0.0.1:1/live", SourceConfig())


def test_a_server_that_never_answers_is_refused_after_the_time_to_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rtsp, "_OPEN_S", 0.7)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(Refusal, match="gives no video"),
    ):
        open_source(f"rtsp://127.0.0.1:{server.getsockname()[1]}/live", SourceConfig())


def test_without_pyav_rtsp_is_refused_naming_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"pip install '\.\[rtsp\]'"):
        find_sources("rtsp://127.0.0.1:1/live", 1)


def test_a_senders_clock_is_used_until_it_drifts() -> None:
    clock = SenderClock()
    began_us = round((time.time() - 0.1) * 1e6)
    raw_ns, uncertainty_ns, stamp = clock.moment(began_us, 0.0)
    assert stamp == "rtcp"
    assert 99_000_000 < time.monotonic_ns() - raw_ns < 5_000_000_000
    assert uncertainty_ns == pytest.approx(20_000_000, abs=1_000_000)
    assert clock.moment(began_us, -0.1)[1] > 100_000_000  # its lag grew, so does what it may be off
    assert clock.moment(began_us, -1.0)[2] == "arrival"
    assert clock.moment(began_us, 0.0)[2] == "arrival"


@pytest.mark.parametrize("ahead_s", [-3600.0, 60.0])
def test_a_senders_clock_that_is_far_off_is_not_used(ahead_s: float) -> None:
    raw_ns, _, stamp = SenderClock().moment(round((time.time() + ahead_s) * 1e6), 0.0)
    assert stamp == "arrival"
    assert 0 <= time.monotonic_ns() - raw_ns < 5_000_000_000


def test_a_password_is_never_shown() -> None:
    assert shown("rtsp://me:secret@10.0.0.5/live") == "rtsp://me:***@10.0.0.5/live"

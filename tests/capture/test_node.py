"""One camera's node: what it sends of a source, and how it goes on when the source dies."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from capture.config import CaptureConfig
from capture.node import Node
from capture.sources.source import Exposure, Pace, SourceConfig, SourceEnded, SourceLost
from capture.sources.video_file import VideoFile
from cvsf.messages import Frame
from runtime.ingest.camera_connection import Link
from tests.support.receivers import make_receiver

EPOCH_NS = 1_700_000_000_000_000_000
QUICK = CaptureConfig(reopen_s=0.01, drain_s=5.0)
JPEG = bytes(simplejpeg.encode_jpeg(np.zeros((48, 64, 3), np.uint8)))


class Hub:
    """A real receiver on a free port whose disk takes everything at once."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.receiver = make_receiver(self._take)
        self.receiver.start()

    def _take(self, frame: Frame, link: Link) -> bool:
        self.frames.append(frame)
        link.store(frame.seq)
        link.process(frame.seq)
        return True

    @property
    def endpoint(self) -> str:
        return f"tcp://127.0.0.1:{self.receiver.port}"

    def close(self) -> None:
        self.receiver.close()


class Scripted:
    """A live camera that gives what it was told to, and then ends or dies."""

    pace: Pace = "live"
    width_px, height_px, fps = 64, 48, 20.0

    def __init__(self, missed: list[int], last: Exception) -> None:
        self._missed, self._last = missed, last

    def read(self, timeout_s: float) -> Exposure | None:
        if not self._missed:
            raise self._last
        missed = self._missed.pop(0)
        raw_ns = 0 if missed < 0 else time.monotonic_ns()  # below 0: exposed long ago
        return Exposure(
            jpeg=JPEG,
            width_px=64,
            height_px=48,
            raw_ns=raw_ns,
            uncertainty_ns=1000,
            stamp="kernel",
            missed=max(missed, 0),
        )

    def close(self) -> None:
        self._missed = []


@pytest.fixture
def hub() -> Iterator[Hub]:
    with closing(Hub()) as hub:
        yield hub


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six pictures at 20 a second."""
    path = tmp_path / "a.avi"
    written = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for grey in range(6):
        written.write(np.full((48, 64, 3), 40 * grey, np.uint8))
    written.release()
    return path


def test_a_file_is_sent_whole_on_the_hubs_clock_from_its_epoch(hub: Hub, video: Path) -> None:
    node = Node("cam0", f"file:{video}", hub.endpoint, SourceConfig(), EPOCH_NS)
    account = node.run(VideoFile(video, SourceConfig()), QUICK)
    assert account | {"fates": {}} == {
        "camera": "cam0", "ended": True, "exposed": 6, "acknowledged": 6, "dropped": {},
        "in_ring": 0, "fates": {},
    }  # fmt: skip
    assert [frame.seq for frame in hub.frames] == list(range(6))
    assert all(frame.intact() and frame.stamp == "media" for frame in hub.frames)
    times_ns = np.array([frame.t_ns for frame in hub.frames])
    assert times_ns - EPOCH_NS == pytest.approx(np.arange(6) * 50_000_000, abs=1000)


def test_a_gap_of_the_source_is_a_gap_in_the_numbers_and_an_exposure_dropped(hub: Hub) -> None:
    """What was exposed before anybody was to film is left out, with what was missed until then."""
    node = Node("cam0", "v4l2:/dev/video0", hub.endpoint, SourceConfig(), EPOCH_NS)
    account = node.run(Scripted([-1, -1, 5, 0, 2, 0], SourceEnded("done")), QUICK)
    assert [frame.seq for frame in hub.frames] == [0, 1, 4, 5]
    assert account["exposed"] == 6
    assert account["dropped"] == {"missed by the source": 2}
    for frame in hub.frames:
        # one machine, one clock: hub and node differ by what the estimate may be off by
        assert abs(frame.t_ns - frame.raw_ns) <= frame.uncertainty_ns
        assert frame.t_ns == frame.raw_ns + frame.offset_ns


def test_a_camera_that_dies_is_opened_again_and_each_is_logged_once(
    hub: Hub, video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node("cam0", f"file:{video}", hub.endpoint, SourceConfig(), EPOCH_NS)
    with caplog.at_level(logging.WARNING):
        account = node.run(Scripted([0, 0], SourceLost("unplugged")), QUICK)
    said = [record for record in caplog.records if record.getMessage().startswith("camera ")]
    assert [record.getMessage() for record in said] == ["camera lost", "camera back"]
    assert vars(said[0])["reason"] == "unplugged"
    assert account["ended"] is True
    assert [frame.seq for frame in hub.frames] == list(range(2 + 6))


def test_the_start_line_lets_a_node_film_from_its_moment_on() -> None:
    node = Node("cam0", "sim:still?index=0", "tcp://127.0.0.1:1", SourceConfig(), EPOCH_NS)
    assert not node.may_start.is_set()
    node.begin("123456789\n")
    assert node.may_start.is_set()
    assert node.start_ns == 123456789

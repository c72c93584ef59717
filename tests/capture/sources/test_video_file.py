"""Video files as cameras: real files, written here."""

import itertools
import logging
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import simplejpeg

from capture.open_source import find_sources, open_source
from capture.sources.source import SourceConfig, SourceEnded
from capture.sources.video_file import VideoFile
from cvsf.system.errors import Refusal
from tests.support.exposures import exposures_of


def write_video(
    path: Path, frames: int = 12, size: tuple[int, int] = (64, 48), fps: float = 20.0
) -> Path:
    """A video whose frame i is of grey level 8 * i."""
    code = cv2.VideoWriter.fourcc(*("mp4v" if path.suffix == ".mp4" else "MJPG"))
    video = cv2.VideoWriter(str(path), code, fps, size)
    assert video.isOpened()
    for i in range(frames):
        video.write(np.full((size[1], size[0], 3), min(8 * i, 255), np.uint8))
    video.release()
    return path


def test_every_frame_comes_once_in_order_then_the_end(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "a.mp4"), SourceConfig())
    assert (video.pace, video.width_px, video.height_px, video.fps) == ("lossless", 64, 48, 20.0)
    for i in range(12):
        exposure = video.read(0.0)
        assert exposure is not None
        assert (exposure.trigger, exposure.missed, exposure.stamp) == (i, 0, "media")
        assert exposure.raw_ns == pytest.approx(i * 50_000_000, abs=1000)
        assert abs(float(simplejpeg.decode_jpeg(exposure.jpeg).mean()) - 8 * i) < 4
    with pytest.raises(SourceEnded, match="after 12 frames"):
        video.read(0.0)
    video.close()


def write_odd_video(path: Path, size: tuple[int, int]) -> Path:
    """OpenCV's writer makes sizes even, PyAV's keeps them."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=20)
        stream.width, stream.height = size
        stream.pix_fmt = "bgr0"
        for _ in range(3):
            picture = np.zeros((size[1], size[0], 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize("size", [(63, 47), (17, 33), (108, 192)])
def test_odd_and_portrait_sizes_are_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    video = VideoFile(write_odd_video(tmp_path / "odd.mkv", size), SourceConfig())
    exposure = video.read(0.0)
    assert exposure is not None
    assert (exposure.width_px, exposure.height_px) == size
    assert simplejpeg.decode_jpeg(exposure.jpeg).shape == (size[1], size[0], 3)
    video.close()


def test_a_pictures_colour_sampling_is_420(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "a.mp4"), SourceConfig())
    exposure = video.read(0.0)
    assert exposure is not None
    assert simplejpeg.decode_jpeg_header(exposure.jpeg)[3] == "420"
    video.close()


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b"this is no video at all", "cannot be read")]
)
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(Refusal, match=reason):
        find_sources(str(tmp_path / "bad.mp4"), 1)


def test_a_truncated_mp4_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Refusal, match="cut short"):
        find_sources(str(path), 1)


def test_a_video_that_breaks_off_ends_early_and_a_warning_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "a.avi", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = VideoFile(path, SourceConfig())
    with caplog.at_level(logging.WARNING):
        exposures = exposures_of(video)
    assert 0 < len(exposures) < 60
    assert "the file ends early" in caplog.messages
    video.close()


def test_file_times_that_stand_still_are_replaced_by_the_frame_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    video = VideoFile(write_video(tmp_path / "a.mp4"), SourceConfig())

    class Standing:
        """The same file, its POS_MSEC standing still as some backends' does."""

        def __init__(self, real: cv2.VideoCapture) -> None:
            self.grab, self.retrieve, self.release = real.grab, real.retrieve, real.release

        def get(self, _: int) -> float:
            return 0.0

    monkeypatch.setattr(video, "_video", Standing(video._video))
    with caplog.at_level(logging.INFO):
        times_ns = [e.raw_ns for _ in range(12) if (e := video.read(0.0))]
    assert times_ns == [i * 50_000_000 for i in range(12)]
    assert caplog.messages.count("the file's times do not run forward, its rate is used") == 1
    video.close()


def test_realtime_plays_at_its_own_rate_and_counts_what_it_dropped(tmp_path: Path) -> None:
    video = open_source(f"file:{write_video(tmp_path / 'a.mp4', 20)}", SourceConfig(realtime=True))
    assert video.pace == "live"
    began_s = time.monotonic()
    exposures = exposures_of(video, pause_after=4)
    assert 0.9 <= time.monotonic() - began_s < 30
    missed = list(itertools.accumulate(exposure.missed for exposure in exposures))
    assert [e.trigger for e in exposures] == [i + before for i, before in enumerate(missed)]
    assert len(exposures) + missed[-1] == 20
    assert missed[-1] >= 3


def test_a_start_in_the_past_skips_the_frames_before_now(tmp_path: Path) -> None:
    start_ns = time.monotonic_ns() - 500_000_000
    path = write_video(tmp_path / "a.mp4", 30)
    video = VideoFile(path, SourceConfig(realtime=True, start_ns=start_ns))
    exposure = video.read(0.2)
    assert exposure is not None
    assert exposure.missed == exposure.trigger
    assert exposure.missed >= 9
    video.close()


def test_a_filmed_clip_plays_whole_from_four_portrait_cameras(shared_data: Path) -> None:
    specs = find_sources(f"{shared_data}/pose2sim_balance/cam0*.mp4", 4)
    assert [spec.camera for spec in specs] == ["cam01", "cam02", "cam03", "cam04"]
    video = open_source(specs[2].uri, SourceConfig())
    assert (video.width_px, video.height_px, video.fps) == (1088, 1920, 60.0)
    exposures = exposures_of(video)
    assert [e.trigger for e in exposures] == list(range(100))
    assert exposures[-1].raw_ns == pytest.approx(99 / 60 * 1e9, abs=1_000_000)

"""V4L2 capture against a camera simulated behind the ioctl boundary, and the kernel's refusals."""

import errno
import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from capture.sources import v4l2_api as api
from capture.sources.source import SourceConfig, SourceLost
from capture.sources.v4l2 import V4l2Camera, open_device
from cvsf.system.errors import Refusal
from tests.support.webcam import SIZE, SimulatedCamera

PATH = Path("/dev/video0")


def jpeg_of(level: int, size: tuple[int, int] = SIZE) -> bytes:
    picture = np.full((size[1], size[0], 3), level, np.uint8)
    return bytes(simplejpeg.encode_jpeg(picture, quality=90, colorsubsampling="422"))


def opened(camera: SimulatedCamera, **config: int) -> V4l2Camera:
    return V4l2Camera(camera, PATH, SourceConfig(size=SIZE, **config))  # type: ignore[arg-type]


def test_mjpg_is_passed_on_byte_for_byte() -> None:
    jpeg = jpeg_of(40)
    camera = SimulatedCamera(sent=[(0, jpeg + bytes(100), 0)])
    source = opened(camera)
    exposure = source.read(1.0)
    assert exposure is not None
    assert exposure.jpeg == jpeg
    assert (exposure.width_px, exposure.height_px) == SIZE
    assert (source.pace, source.fps) == ("live", 25.0)
    assert camera.format == api.fourcc("MJPG")
    source.close()
    assert camera.closed
    source.close()  # a node that is stopped while it looks for a lost camera


def test_a_truncated_jpeg_is_counted_as_missed_and_the_next_is_read() -> None:
    cut = jpeg_of(10)[:-20]
    camera = SimulatedCamera(sent=[(0, jpeg_of(10), 0)])
    source = opened(camera)
    assert source.read(1.0) is not None
    camera.sent = [(1, cut, 0)]
    assert source.read(0.03) is None
    camera.sent = [(2, jpeg_of(20), 0)]
    exposure = source.read(1.0)
    assert exposure is not None
    assert exposure.missed == 1


def test_a_picture_flagged_broken_or_of_another_size_is_counted() -> None:
    camera = SimulatedCamera(sent=[(0, jpeg_of(1), 0)])
    source = opened(camera)
    source.read(1.0)
    for sent in ((1, jpeg_of(1), api.BUFFER_ERROR), (2, jpeg_of(1, (128, 96)), 0)):
        camera.sent = [sent]
        assert source.read(0.03) is None
    camera.sent = [(3, jpeg_of(1), 0)]
    exposure = source.read(1.0)
    assert exposure is not None
    assert exposure.missed == 2


def test_the_newest_picture_wins_and_the_drivers_numbers_count_the_rest() -> None:
    camera = SimulatedCamera(sent=[(7, jpeg_of(1), 0)])
    source = opened(camera)
    first = source.read(1.0)
    assert first is not None
    assert first.missed == 0
    camera.sent = [(10, jpeg_of(50), 0), (11, jpeg_of(60), 0)]
    exposure = source.read(1.0)
    assert exposure is not None
    assert exposure.jpeg == jpeg_of(60)
    assert exposure.missed == 3  # 8 and 9 in the driver, 10 here
    assert sorted(camera.queued) == [0, 1, 2]


def test_missed_pictures_are_counted_where_the_driver_does_not_number_them() -> None:
    camera = SimulatedCamera(sent=[(0, jpeg_of(1), 0)])
    source = opened(camera)
    source.read(1.0)
    camera.sent = [(0, jpeg_of(1), 0), (0, jpeg_of(2), 0)]
    exposure = source.read(1.0)
    assert exposure is not None
    assert exposure.missed == 1


def test_a_yuyv_picture_is_encoded_as_jpeg() -> None:
    rows = np.full((SIZE[1], SIZE[0] * 2 + 16), 128, np.uint8)
    rows[:, : SIZE[0] * 2 : 2] = 200
    camera = SimulatedCamera(pixelformats=("YUYV",), sent=[(0, rows.tobytes(), 0)])
    exposure = opened(camera).read(1.0)
    assert exposure is not None
    picture = simplejpeg.decode_jpeg(exposure.jpeg)
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert abs(float(picture.mean()) - 214) < 3  # luma 200 of 16..235


def test_a_camera_with_neither_format_is_refused() -> None:
    with pytest.raises(Refusal, match=r"H264.*MJPG or YUYV"):
        opened(SimulatedCamera(pixelformats=("H264",)))


STAMP_NS = 1_000_500_000_000
PERIOD_NS = 40_000_000


@pytest.mark.parametrize(
    ("camera", "raw_ns", "uncertainty_ns", "stamp"),
    [
        (SimulatedCamera(), STAMP_NS + 5_000_000, 1_000_000, "sensor"),
        (SimulatedCamera(driver=b"uvcvideo"), STAMP_NS + 5_000_000, 11_000_000, "kernel"),
        (SimulatedCamera(exposure_100us=None), STAMP_NS + 10_000_000, 11_000_000, "kernel"),
        (SimulatedCamera(stamp_flags=0x2000), STAMP_NS - 25_000_000, 20_000_000, "kernel"),
    ],
    ids=["start of exposure", "uvcvideo", "exposure unknown", "end of frame"],
)
def test_the_time_stamp_is_the_middle_of_the_exposure(
    camera: SimulatedCamera,
    raw_ns: int,
    uncertainty_ns: int,
    stamp: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("capture.sources.v4l2._HARDWARE_CLOCK", tmp_path / "absent")
    camera.sent = [(0, jpeg_of(1), 0)]
    exposure = opened(camera).read(1.0)
    assert exposure is not None
    assert (exposure.raw_ns, exposure.uncertainty_ns, exposure.stamp) == (
        raw_ns,
        uncertainty_ns,
        stamp,
    )


def test_without_a_monotonic_stamp_the_time_of_arrival_is_used_and_marked() -> None:
    camera = SimulatedCamera(stamp_flags=0, sent=[(0, jpeg_of(1), 0)])
    before_ns = time.monotonic_ns()
    exposure = opened(camera).read(1.0)
    assert exposure is not None
    assert exposure.stamp == "arrival"
    assert abs(exposure.raw_ns - before_ns) <= exposure.uncertainty_ns + 5_000_000_000


def test_a_camera_pulled_out_is_lost() -> None:
    camera = SimulatedCamera(sent=[(0, jpeg_of(1), 0)])
    source = opened(camera)
    source.read(1.0)
    camera.failures = {api.DQBUF: errno.ENODEV, api.STREAMOFF: errno.ENODEV}
    with pytest.raises(SourceLost, match="video0 stopped"):
        source.read(1.0)
    source.close()


def test_a_camera_that_falls_silent_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.sources.v4l2._SILENT_S", 0.05)
    source = opened(SimulatedCamera())
    with pytest.raises(SourceLost, match="no whole picture"):
        source.read(1.0)


def test_a_busy_camera_is_refused_naming_who_may_hold_it() -> None:
    camera = SimulatedCamera(failures={api.REQBUFS: errno.EBUSY})
    with pytest.raises(Refusal, match="is busy: another program holds it"):
        opened(camera)
    assert camera.closed


def test_a_metadata_device_is_refused() -> None:
    with pytest.raises(Refusal, match="no camera"):
        opened(SimulatedCamera(capabilities=api.DEVICE_CAPS | api.CAPTURE_STREAMING))


def test_a_missing_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no camera at"):
        open_device(f"v4l2:{tmp_path}/video9", SourceConfig())


def test_a_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"not a camera")
    with pytest.raises(Refusal, match=r"no V4L2 camera|may not be opened"):
        open_device(f"v4l2:{tmp_path}/video0", SourceConfig())

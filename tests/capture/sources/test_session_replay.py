"""A recorded session as cameras: what formed an instant comes back, and nothing else."""

import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from capture.open_source import find_sources, open_source
from capture.sources.source import Exposure, Source, SourceConfig, SourceEnded
from cvsf.messages import Frame, Instant
from cvsf.session.writer import SessionWriter
from cvsf.system.errors import Refusal
from tests.support.material import make_frame

PERIOD_NS = 50_000_000
START_NS = 7_000_000_000_000


def frame(camera: str, seq: int) -> Frame:
    picture = np.full((48, 64, 3), seq, np.uint8)
    jpeg = bytes(simplejpeg.encode_jpeg(picture, quality=90))
    return make_frame(
        camera,
        seq,
        jpeg,
        boot_id="boot",
        t_ns=START_NS + seq * PERIOD_NS,
        offset_ns=START_NS,
        uncertainty_ns=123_456,
        stamp="kernel",
        width_px=64,
        height_px=48,
    )


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """Two cameras, ten instants; the right camera's frame 4 came too late for its instant."""
    folder = tmp_path / "2026-11-22T14-03-11Z-run"
    writer = SessionWriter(folder, recording="frames")
    for seq in range(10):
        for camera in ("left", "right"):
            writer.write(frame(camera, seq))
        cameras = ["left"] if seq == 4 else ["left", "right"]
        writer.write(
            Instant(
                index=100 + seq,
                t_ns=START_NS + seq * PERIOD_NS,
                frames=dict.fromkeys(cameras, ("boot", seq)),
                expected=("left", "right"),
                spread_ns=0,
            )
        )
    writer.close()
    return folder


def read_all(source: Source) -> list[Exposure]:
    exposures = []
    try:
        while True:
            if (exposure := source.read(0.05)) is not None:
                exposures.append(exposure)
    except SourceEnded:
        return exposures
    finally:
        source.close()


def test_the_frames_of_each_instant_come_back_untouched(session: Path) -> None:
    left, right = find_sources(str(session), 2)
    assert (left.camera, right.camera) == ("left", "right")
    source = open_source(left.uri, SourceConfig())
    assert (source.pace, source.width_px, source.height_px) == ("lossless", 64, 48)
    assert source.fps == pytest.approx(20.0)
    exposures = read_all(source)
    assert [e.trigger for e in exposures] == list(range(100, 110))
    for seq, exposure in enumerate(exposures):
        original = frame("left", seq)
        assert exposure.jpeg == original.jpeg
        assert (exposure.raw_ns, exposure.stamp) == (original.t_ns, "kernel")
        assert exposure.uncertainty_ns == 123_456


def test_a_frame_that_formed_no_instant_stays_out(session: Path) -> None:
    right = find_sources(f"{session}/session.json", 2)[1]
    triggers = [e.trigger for e in read_all(open_source(right.uri, SourceConfig()))]
    assert triggers == [100, 101, 102, 103, 105, 106, 107, 108, 109]


def test_realtime_takes_as_long_as_the_recording(session: Path) -> None:
    source = open_source(f"session:{session}?camera=left", SourceConfig(realtime=True))
    assert source.pace == "live"
    began_s = time.monotonic()
    exposures = read_all(source)
    assert 0.4 <= time.monotonic() - began_s < 1.5
    assert len(exposures) + sum(e.missed for e in exposures) == 10


def test_three_cameras_are_not_in_a_session_of_two(session: Path) -> None:
    with pytest.raises(Refusal, match=r"2 cameras where 3 were asked for \(left, right\)"):
        find_sources(str(session), 3)


def test_a_session_without_pictures_is_refused(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "poses", recording="poses")
    writer.write(Instant(index=0, t_ns=1, frames={}, expected=(), spread_ns=0))
    writer.close()
    with pytest.raises(Refusal, match="only a session recorded with --record frames"):
        find_sources(str(tmp_path / "poses"), 1)


def test_a_damaged_manifest_is_refused(session: Path) -> None:
    (session / "session.json").write_text("{")
    with pytest.raises(Refusal, match="damaged"):
        find_sources(str(session), 2)

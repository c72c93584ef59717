"""A recorded session as cameras: what formed an instant comes back, and nothing else."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from capture.open_source import find_sources, open_source
from capture.sources.session_replay import find, open_recorded
from capture.sources.source import SourceConfig, SourceEnded
from cvsf.messages import Frame, Instant
from cvsf.session.writer import SessionWriter
from cvsf.system.errors import Refusal
from tests.support.exposures import exposures_of
from tests.support.material import make_frame, make_instant, record

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


def test_the_frames_of_each_instant_come_back_untouched(session: Path) -> None:
    left, right = find_sources(str(session), 2)
    assert (left.camera, right.camera) == ("left", "right")
    source = open_source(left.uri, SourceConfig())
    assert (source.pace, source.width_px, source.height_px) == ("lossless", 64, 48)
    assert source.fps == pytest.approx(20.0)
    exposures = exposures_of(source)
    assert [e.trigger for e in exposures] == list(range(100, 110))
    for seq, exposure in enumerate(exposures):
        original = frame("left", seq)
        assert exposure.jpeg == original.jpeg
        assert (exposure.raw_ns, exposure.stamp) == (original.t_ns, "kernel")
        assert exposure.uncertainty_ns == 123_456


def test_a_frame_that_formed_no_instant_stays_out(session: Path) -> None:
    right = find_sources(f"{session}/session.json", 2)[1]
    triggers = [e.trigger for e in exposures_of(open_source(right.uri, SourceConfig()))]
    assert triggers == [100, 101, 102, 103, 105, 106, 107, 108, 109]


def test_a_session_under_realtime_plays_as_long_as_its_recording(session: Path) -> None:
    source = open_source(f"session:{session}?camera=left", SourceConfig(realtime=True))
    assert source.pace == "live"
    began_s = time.monotonic()
    exposures = exposures_of(source)
    assert 0.4 <= time.monotonic() - began_s < 30
    assert len(exposures) + sum(e.missed for e in exposures) == 10


def test_three_cameras_from_a_session_of_two_are_refused(session: Path) -> None:
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


APART_NS = 10_000_000_000
LONG_NS = 3_600_000_000_000


@pytest.fixture
def slow_session(tmp_path: Path) -> Path:
    """Five instants of two cameras, ten seconds apart."""
    folder = tmp_path / "run"
    messages = [
        make_frame(camera, seq, t_ns=START_NS + seq * APART_NS)
        for seq in range(5)
        for camera in ("right", "left")
    ]
    instants = [
        replace(make_instant(i, ("left", "right")), t_ns=START_NS + i * APART_NS) for i in range(5)
    ]
    record(folder, [*messages, *instants])
    return folder


def test_cameras_are_found_by_name_from_the_folder_or_its_session_json(slow_session: Path) -> None:
    found = find(slow_session)
    assert [camera.name for camera in found] == ["left", "right"]
    assert found[0].uri == f"session:{slow_session}?camera=left"
    assert find(slow_session / "session.json") == found


def test_a_folder_without_session_json_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=f"{tmp_path} is no session: a session folder holds"):
        find(tmp_path)


def test_a_camera_that_no_instant_took_has_no_pictures_to_play(slow_session: Path) -> None:
    with pytest.raises(Refusal, match=r"middle: .* holds no pictures"):
        open_recorded(f"session:{slow_session}?camera=middle", SourceConfig())


def test_under_realtime_frames_long_due_are_skipped_and_counted_as_missed(
    slow_session: Path,
) -> None:
    """25 s after the start, frames 0 and 1 are more than a period late and frame 2 is not."""
    started = SourceConfig(realtime=True, start_ns=time.monotonic_ns() - 25_000_000_000)
    source = open_recorded(f"session:{slow_session}?camera=left", started)
    assert source.pace == "live"
    assert source.fps == pytest.approx(0.1)
    exposure = source.read(0.0)
    assert exposure is not None
    assert (exposure.trigger, exposure.missed) == (2, 2)
    assert exposure.raw_ns == START_NS + 2 * APART_NS
    assert source.read(0.0) is None  # frame 3 is due in five seconds
    source.close()


def test_a_session_whose_time_is_over_ends_and_one_that_has_not_begun_waits(
    slow_session: Path,
) -> None:
    uri, now_ns = f"session:{slow_session}?camera=right", time.monotonic_ns()
    over = open_recorded(uri, SourceConfig(realtime=True, start_ns=now_ns - LONG_NS))
    with pytest.raises(SourceEnded, match="right has no further frame"):
        over.read(0.0)
    to_come = open_recorded(uri, SourceConfig(realtime=True, start_ns=now_ns + LONG_NS))
    assert to_come.read(0.01) is None
    to_come.close()


def test_a_closed_camera_has_ended(slow_session: Path) -> None:
    source = open_recorded(f"session:{slow_session}?camera=left", SourceConfig())
    assert source.read(0.0) is not None
    source.close()
    with pytest.raises(SourceEnded):
        source.read(0.0)

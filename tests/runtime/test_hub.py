"""The hub in one process: instants in, skeletons, a session and figures out."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from capture.simulator.renderer import Painter
from capture.simulator.scene import make_slope, place_camera
from capture.simulator.shots import film, set_stage
from cvsf.messages import Frame
from cvsf.session.reader import SessionReader
from cvsf.system.errors import Refusal
from runtime.bench.hub import open_hub
from runtime.hub import Hub, load_networks
from runtime.ingest.synchroniser import Group
from tests.support.material import make_frame
from tests.support.receivers import connect

CAMERAS, SIZE = ("cam0", "cam1"), (320, 240)


@contextmanager
def opened(folder: Path) -> Iterator[Hub]:
    """A hub that records; who opens it finishes it."""
    hub = open_hub(folder, "session", cams=len(CAMERAS), settings={"min_free_gb": 0})
    try:
        yield hub
    except BaseException:
        hub.finish()
        raise


@pytest.fixture(scope="module")
def skiing() -> list[dict[str, Frame]]:
    """Four instants of the simulated skier before two cameras."""
    slope = make_slope(1_000_003, False)
    stage, stamps = set_stage(1_000_003, slope), np.arange(1, 5, dtype=np.int64) * 50_000_000
    taken: list[dict[str, Frame]] = [{} for _ in stamps]
    for index, camera in enumerate(CAMERAS):
        view = place_camera(slope, index, SIZE)
        painter = Painter(stage, view, index)
        for k, shot in enumerate(film(stage, view, stamps)):
            jpeg = bytes(simplejpeg.encode_jpeg(painter.paint(shot), 90, "BGR"))
            taken[k][camera] = make_frame(
                camera, k, jpeg, width_px=SIZE[0], height_px=SIZE[1], t_ns=int(stamps[k])
            )
    return taken


def group(frames: dict[str, Frame]) -> Group:
    return Group(frames=frames, expected=CAMERAS)


def test_every_instant_is_measured_recorded_and_counted(
    tmp_path: Path, skiing: list[dict[str, Frame]]
) -> None:
    with opened(tmp_path) as hub:
        for frames in skiing:
            for frame in frames.values():
                assert hub.recorder.put(frame)
        skeletons = [hub.process(group(frames)) for frames in skiing]
        final = hub.finish()
    measured = [s for s in skeletons if s and s.measured]
    assert len(measured) == len(skiing)
    assert all(s.views == CAMERAS and s.engine == final.engine for s in measured)
    assert final.final is True
    assert (final.instants, final.instants_full, final.skeletons) == (4, 4, 4)
    reader = SessionReader(tmp_path / "session")
    assert [i.frames["cam1"] for i in reader.instants()] == [("a", k) for k in range(4)]
    assert [s.t_ns for s in reader.skeletons()] == [s.t_ns for s in measured]
    assert [p.detector for p in reader.poses()] == [final.detector] * 4
    assert len(list(reader.frames())) == 8
    assert reader.manifest.sealed


def test_a_hub_whose_port_is_taken_leaves_no_session_and_no_bound_port(tmp_path: Path) -> None:
    with opened(tmp_path / "first") as first:
        other = first.config.model_copy(update=dict.fromkeys(("skeletons_port", "web_port"), 0))
        networks = load_networks(other, tmp_path, offline=True)
        running = set(threading.enumerate())
        with pytest.raises(Refusal, match="frames"):
            Hub(other, tmp_path / "second", networks, cams=1, anchor_ns=0)
        assert set(threading.enumerate()) == running
        first.finish()
    assert not (tmp_path / "second").exists()


def test_an_instant_with_nobody_in_it_is_recorded_without_a_skeleton(tmp_path: Path) -> None:
    grey = bytes(simplejpeg.encode_jpeg(np.full((240, 320, 3), 90, np.uint8)))
    frames = {c: make_frame(c, 0, grey, width_px=320, height_px=240) for c in CAMERAS}
    with opened(tmp_path) as hub:
        assert hub.process(group(frames)) is None
        final = hub.finish()
    assert (final.instants, final.skeletons) == (1, 0)
    reader = SessionReader(tmp_path / "session")
    (pose,) = reader.poses()
    assert pose.cameras == CAMERAS
    assert not pose.confidence.any()
    assert not list(reader.skeletons())


def test_a_camera_that_is_missing_or_broken_leaves_a_predicted_skeleton_and_a_count(
    tmp_path: Path, skiing: list[dict[str, Frame]]
) -> None:
    broken = make_frame("cam1", 0, skiing[0]["cam1"].jpeg[:300], width_px=320, height_px=240)
    with opened(tmp_path) as hub:
        alone = hub.process(group({"cam0": skiing[0]["cam0"]}))
        beside = hub.process(group({"cam0": skiing[1]["cam0"], "cam1": broken}))
        final = hub.finish()
    for skeleton in (alone, beside):
        assert skeleton is not None
        assert skeleton.views == ("cam0",)
        assert not skeleton.measured
    assert (final.instants, final.instants_full) == (2, 1)
    assert (final.skeletons, final.skeletons_predicted) == (0, 2)
    assert final.left_out == {"cam1: broken picture": 1}


@pytest.mark.parametrize(("pace", "instants"), [("lossless", 4), ("live", 0)])
def test_at_the_end_what_waits_is_looked_at_where_files_must_not_lose_anything(
    tmp_path: Path, skiing: list[dict[str, Frame]], pace: str, instants: int
) -> None:
    with opened(tmp_path) as hub:
        for camera in CAMERAS:
            connect(hub.receiver, camera, pace=pace, width_px=SIZE[0], height_px=SIZE[1])
        for frames in skiing:
            hub.queue.put(group(frames), lossless=pace == "lossless")
        final = hub.finish()
    assert final.instants == instants
    assert final.instants_full == instants

"""The hub bench: how it introduces its cameras, and figures of a few small instants."""

import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from cvsf.messages import Frame
from runtime.bench.hub import _report, _thread_times, measure
from runtime.ingest.camera_connection import open_link
from tests.support.material import make_frame

OTHERS = {"decode", "decode alone", "detect", "pose", "lift", "exposure_to_skeleton"}


def small_film(instants: int) -> list[dict[str, Frame]]:
    """Grey pictures of four cameras, no two of them alike."""
    film = []
    for k in range(instants):
        frames = {}
        for view in range(4):
            grey = np.full((48, 64, 3), 40 * k + 8 * view, np.uint8)
            jpeg = bytes(simplejpeg.encode_jpeg(grey, quality=90))
            camera = f"cam{view}"
            frames[camera] = make_frame(camera, k, jpeg, width_px=64, height_px=48)
        film.append(frames)
    return film


def test_a_frames_camera_is_reported_as_a_hub_takes_it() -> None:
    link = open_link(b"", _report(make_frame("cam3", 7)), None)
    assert (link.camera, link.boot_id) == ("cam3", "bench")
    assert (link.width_px, link.height_px) == (640, 480)
    assert not link.lossless


def test_a_threads_time_grows_with_its_work() -> None:
    name = "MainThread"
    before = _thread_times()[name]
    until_s = time.thread_time() + 0.02
    while time.thread_time() < until_s:
        pass
    assert _thread_times()[name] - before >= 0.02


def test_own_time_over_decoding_is_of_every_instant_after_the_warm_up(tmp_path: Path) -> None:
    found = measure(small_film(3), 5, tmp_path)
    assert (found["views"], found["instants"]) == (4, 5)
    stages = found["stages_ms"]
    assert {"receive", "record", "write", "publish", "own", "decode alone"} <= set(stages)
    assert all(0 <= ms["p50"] <= ms["p95"] for ms in stages.values())
    # the hub's own is the sum of its stages without the decoder and the networks
    parts = [ms for name, ms in stages.items() if name not in OTHERS | {"own"}]
    assert stages["own"]["p95"] >= max(ms["p50"] for ms in parts)
    assert stages["own"]["p50"] <= 1.25 * sum(ms["p95"] for ms in parts)
    ratio = stages["own"]["p50"] / stages["decode alone"]["p50"]
    assert found["own_over_decode"]["p50"] == pytest.approx(ratio, rel=0.05)

"""The simulated slope: the same for everyone at a moment, and honest about itself."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg

from capture.simulator.dataset import render_seed, simulate
from capture.simulator.ground_truth import merge_truth, seen
from capture.simulator.renderer import Painter
from capture.simulator.scenario import Knock, Staged
from capture.simulator.scene import aim, make_slope, place_camera, project, turned
from capture.simulator.shots import film, set_stage
from capture.simulator.simulated_camera import open_simulated
from capture.simulator.skier import pose_skier
from capture.sources.source import Exposure, SourceConfig
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.paths import ROOT

SIZE = (640, 480)
LAYOUT = {
    "keypoints_px", "confidence", "truth_px", "joints_mm", "head_px", "session", "subject", "frame",
    "t_s", "joint_names", "subject_names", "image_px", "camera_R", "camera_t_mm", "focal_px",
}  # fmt: skip


def test_a_camera_does_not_depend_on_how_many_others_there_are() -> None:
    slope = make_slope(9, False)
    alone = place_camera(slope, 3, SIZE)
    others = [place_camera(slope, index, SIZE) for index in range(8)]
    assert np.array_equal(alone.eye, others[3].eye)
    azimuth = [np.degrees(np.arctan2(view.eye[1], view.eye[0])) for view in others[:4]]
    gaps = np.diff(np.sort(np.mod(azimuth, 360)))
    assert gaps.min() > 30


def test_a_picture_follows_from_seed_and_moment_alone() -> None:
    moment = np.array([123_450_000_000], np.int64)
    pictures = []
    for others in (0, 7):
        slope = make_slope(4, False)
        stage, view = set_stage(4, slope), place_camera(slope, 1, SIZE)
        stamps = np.append(moment, moment + np.arange(1, others + 1) * 50_000_000)
        pictures.append(Painter(stage, view, 1).paint(film(stage, view, stamps)[0]))
    assert np.array_equal(pictures[0], pictures[1])
    slope = make_slope(6, False)
    stage, view = set_stage(6, slope), place_camera(slope, 1, SIZE)
    assert not np.array_equal(
        pictures[0], Painter(stage, view, 1).paint(film(stage, view, moment)[0])
    )


def test_the_skier_is_drawn_where_the_truth_says() -> None:
    slope = make_slope(8, False)
    stage, view = set_stage(8, slope), place_camera(slope, 0, SIZE)
    stamps = np.array([1, 5, 9, 13, 17, 21], np.int64) * 1_000_000_000
    painter = Painter(stage, view, 0)
    shots = film(stage, view, stamps)
    pictures = [painter.paint(shot).astype(np.float64) for shot in shots]
    empty = np.median(pictures, axis=0)
    joints = np.stack([shot.joints for shot in shots])
    rotation, focal = aim(view, stamps, joints[:, 0])
    _, px = project(joints, view.eye, rotation, focal, SIZE)
    visible = seen(joints, view, rotation, focal)
    hits = []
    for picture, points, shown in zip(pictures, px, visible, strict=True):
        change = cv2.blur(np.abs(picture - empty).sum(-1), (3, 3))
        inner = points[shown & ~np.isin(np.arange(len(H36M_16)), [H36M_16.index("head")])]
        hits += [change[int(y), int(x)] > 25 for x, y in inner]
    assert np.mean(hits) > 0.85


def test_a_camera_that_is_knocked_sees_the_slope_turned_and_only_the_truth_says_so(
    tmp_path: Path,
) -> None:
    config = SourceConfig(seed=3, size=(160, 120), fps=30, truth=tmp_path / "t.npz")
    staged = Staged(index=1, moving=False, knock=Knock(turn_deg=5, after_s=0.5))
    with closing(open_simulated(staged, config)) as camera:
        exposures = [e for e in (camera.read(0.2) for _ in range(26)) if e]
    with np.load(tmp_path / "t.1.npz") as truth:
        rotation, stamps = truth["rotation"], truth["raw_ns"]
    after = stamps >= stamps[0] + 500_000_000
    assert after.any()
    assert not after.all()
    assert np.ptp(rotation[~after], 0).max() == np.ptp(rotation[after], 0).max() == 0
    between = rotation[-1] @ rotation[0].T
    assert np.degrees(np.arccos((np.trace(between) - 1) / 2)) == pytest.approx(5, abs=1e-6)
    view = place_camera(make_slope(3, False), 1, (160, 120))
    assert np.array_equal(turned(view, 5).eye, view.eye)
    small = [
        cv2.resize(simplejpeg.decode_jpeg(e.jpeg, "GRAY"), (40, 30), None, 0, 0, cv2.INTER_AREA)
        for e in exposures
    ]
    steady, jump = (np.abs(small[i].astype(float) - small[0]).mean() for i in (2, -1))
    assert jump > 1.5 * steady


def test_a_hidden_joint_is_one_behind_a_limb() -> None:
    slope = make_slope(2, False)
    stamps = np.arange(0, slope.course.period_ns, 500_000_000, dtype=np.int64)
    joints = pose_skier(slope.build, slope.course, stamps).joints
    view = place_camera(slope, 0, SIZE)
    rotation, focal = aim(view, stamps, joints[:, 0])
    visible = seen(joints, view, rotation, focal)
    assert 0.6 < visible.mean() < 0.97
    side = np.abs(project(joints, view.eye, rotation, focal, SIZE)[0][..., 2])
    far = np.where(
        side[:, H36M_16.index("lshoulder")] > side[:, H36M_16.index("rshoulder")], "l", "r"
    )
    far_seen = [visible[i, H36M_16.index(f"{s}elbow")] for i, s in enumerate(far)]
    near_seen = [visible[i, H36M_16.index(f"{'lr'[s == 'l']}elbow")] for i, s in enumerate(far)]
    assert np.mean(near_seen) > np.mean(far_seen)


def test_two_cameras_expose_the_same_skier_at_the_same_ticks_and_truth_joins(
    tmp_path: Path,
) -> None:
    truth = tmp_path / "truth.npz"
    config = SourceConfig(seed=21, fps=20, truth=truth)
    cameras = [open_simulated(Staged(index=index, moving=False), config) for index in (0, 1)]
    exposures: list[list[Exposure]] = [[], []]
    for _ in range(5):
        for camera, taken in zip(cameras, exposures, strict=True):
            exposure = camera.read(1.0)
            assert exposure is not None
            taken.append(exposure)
    for camera in cameras:
        camera.close()
        camera.close()
    assert all(e.raw_ns % 50_000_000 == 0 for taken in exposures for e in taken)
    picture = simplejpeg.decode_jpeg(exposures[0][0].jpeg, "BGR")
    assert picture.shape == (480, 640, 3)
    merge_truth([truth.with_name(f"truth.{index}.npz") for index in (0, 1)], truth)
    with np.load(truth) as file:
        joined = dict(file)
    assert set(joined) >= LAYOUT | {"raw_ns"}
    rows = len(joined["frame"])
    assert joined["keypoints_px"].shape == (rows, 2, len(H36M_16), 2)
    assert joined["image_px"].tolist() == list(SIZE)
    for view, taken in enumerate(exposures):
        stamps = joined["raw_ns"][:, view]
        assert sorted(stamps[stamps > 0]) == [e.raw_ns for e in taken]
        assert not joined["confidence"][stamps == 0, view].any()
    _truth_is_consistent(joined)


def _truth_is_consistent(joined: dict[str, npt.NDArray[Any]]) -> None:
    """Both cameras saw the same world, and the pixels are its projection."""
    rotation, shift = joined["camera_R"].astype(float), joined["camera_t_mm"].astype(float)
    world = np.einsum("nvji,nvkj->nvki", rotation, joined["joints_mm"] - shift[:, :, None])
    assert np.abs(world[:, 0] - world[:, 1]).max() < 0.1
    local = joined["joints_mm"].astype(float)
    px = (
        joined["focal_px"][..., None, None] * local[..., :2] / local[..., 2:]
        + joined["image_px"] / 2
    )
    assert np.abs(px - joined["truth_px"]).max() < 0.01


def test_a_late_reader_is_told_what_it_missed() -> None:
    camera = open_simulated(Staged(index=0, moving=False), SourceConfig(seed=2, fps=50))
    first = camera.read(1.0)
    time.sleep(0.15)
    second = camera.read(1.0)
    assert first is not None
    assert second is not None
    assert first.missed == 0
    assert second.missed >= 5
    assert second.raw_ns - first.raw_ns == (second.missed + 1) * 20_000_000
    assert camera.pace == "live"
    camera.close()


def test_nothing_of_the_truth_is_in_an_exposure() -> None:
    camera = open_simulated(Staged(index=0, moving=False), SourceConfig(seed=2))
    exposure = camera.read(1.0)
    camera.close()
    assert exposure is not None
    assert exposure.stamp == "simulated"
    assert exposure.trigger is None
    assert 0 < exposure.uncertainty_ns < 1_000_000
    assert {f.name for f in fields(exposure)} == {
        "jpeg", "width_px", "height_px", "raw_ns", "uncertainty_ns", "stamp", "missed", "trigger",
    }  # fmt: skip
    assert b"Exif" not in exposure.jpeg


def test_truth_is_written_when_the_process_is_told_to_stop(tmp_path: Path) -> None:
    program = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from capture.sources.source import SourceConfig\n"
        "from capture.simulator.simulated_camera import open_simulated\n"
        "from capture.simulator.scenario import Staged\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "config = SourceConfig(seed=1, truth=Path(sys.argv[1]))\n"
        "camera = open_simulated(Staged(index=2, moving=False), config)\n"
        "try:\n"
        "    while True:\n"
        "        camera.read(1.0)\n"
        "        sys.stdout.write('.'); sys.stdout.flush()\n"
        "finally:\n"
        "    camera.close()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "run.npz")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        process.stdout.read(3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    with np.load(tmp_path / "run.2.npz") as part:
        assert len(part["raw_ns"]) >= 3
    assert not list(tmp_path.glob("*.part"))


def test_an_hour_of_truth_is_written_in_half_a_second(tmp_path: Path) -> None:
    camera: Any = open_simulated(
        Staged(index=0, moving=False), SourceConfig(seed=1, truth=tmp_path / "long.npz")
    )
    exposure = camera.read(1.0)
    joints = np.zeros((len(H36M_16), 3))
    for tick in range(72_000):
        camera._keeper.keep(exposure.raw_ns + tick, joints, np.eye(3), 800.0)
    started = time.process_time()
    camera.close()
    assert time.process_time() - started < 0.5


def test_impossible_cameras_are_refused() -> None:
    for config in (
        SourceConfig(size=(10, 10)),
        SourceConfig(fps=0.01),
        SourceConfig(seed=-1),
        SourceConfig(truth=Path("/nowhere/at/all/truth.npz")),
    ):
        with pytest.raises(Refusal):
            open_simulated(Staged(index=0, moving=False), config)


def test_the_same_seed_gives_the_same_folder(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        render_seed(folder, 77, cams=2, frames=2, size=(160, 120), moving=True)
    files = sorted(path.relative_to(folders[0]) for path in folders[0].rglob("*.jpg"))
    assert [file.name for file in files] == [f"cam{c}-0000{i}.jpg" for c in (0, 1) for i in (0, 1)]
    for file in files:
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()
    with np.load(folders[0] / "seed-000077" / "truth.npz") as truth:
        assert set(truth) >= LAYOUT
        assert truth["truth_px"].shape == (2, 2, len(H36M_16), 2)


def test_the_contact_sheet_has_four_cameras_a_row(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    simulate(seeds="5:7", size="160x120", contact_sheet=sheet)
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape == (120, 320, 3)
    with pytest.raises(Refusal, match="expected A:B"):
        simulate(out=tmp_path, seeds="7")


def test_a_picture_costs_a_few_milliseconds() -> None:
    slope = make_slope(1_000_001, False)
    stage, view = set_stage(1_000_001, slope), place_camera(slope, 0, SIZE)
    painter = Painter(stage, view, 0)
    painter.prepare()
    shots = film(stage, view, np.arange(8, dtype=np.int64) * 50_000_000)
    painter.paint(shots[0])
    started = time.process_time()
    for _ in range(4):
        for shot in shots:
            simplejpeg.encode_jpeg(painter.paint(shot), 85, "BGR", "420")
    assert (time.process_time() - started) / 32 < 0.03  # 4 ms where nothing else runs

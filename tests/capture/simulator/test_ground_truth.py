"""The truth of the simulated slope: what each camera keeps, and the one file it becomes."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg

from capture.simulator.ground_truth import merge_truth, visible_joints
from capture.simulator.scenario import Staged
from capture.simulator.scene import camera_at, make_slope, place_camera, project
from capture.simulator.simulated_camera import open_simulated
from capture.simulator.skier import pose_skier
from capture.sources.source import Exposure, SourceConfig
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal

SIZE = (640, 480)


LAYOUT = {
    "keypoints_px", "confidence", "truth_px", "joints_mm", "head_px", "session", "subject", "frame",
    "t_s", "joint_names", "subject_names", "image_px", "camera_R", "camera_t_mm", "focal_px",
}  # fmt: skip


def test_joints_behind_a_limb_are_not_visible() -> None:
    slope = make_slope(2, False)
    stamps = np.arange(0, slope.course.period_ns, 500_000_000, dtype=np.int64)
    joints = pose_skier(slope.build, slope.course, stamps).joints
    view = place_camera(slope, 0, SIZE)
    rotation, focal = camera_at(view, stamps, joints[:, 0])
    visible = visible_joints(joints, view, rotation, focal)
    assert 0.6 < visible.mean() < 0.97
    side = np.abs(project(joints, view.eye, rotation, focal, SIZE)[0][..., 2])
    far = np.where(
        side[:, H36M_16.index("lshoulder")] > side[:, H36M_16.index("rshoulder")], "l", "r"
    )
    far_seen = [visible[i, H36M_16.index(f"{s}elbow")] for i, s in enumerate(far)]
    near_seen = [visible[i, H36M_16.index(f"{'lr'[s == 'l']}elbow")] for i, s in enumerate(far)]
    assert np.mean(near_seen) > np.mean(far_seen)


def test_two_cameras_expose_at_the_same_ticks_and_their_truth_is_joined_by_exposure(
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


def test_an_hour_of_truth_is_written_in_two_seconds_of_processor_time(tmp_path: Path) -> None:
    camera: Any = open_simulated(
        Staged(index=0, moving=False), SourceConfig(seed=1, truth=tmp_path / "long.npz")
    )
    exposure = camera.read(1.0)
    joints = np.zeros((len(H36M_16), 3))
    for tick in range(72_000):
        camera._truth.add(exposure.raw_ns + tick, joints, np.eye(3), 800.0)
    started = time.process_time()
    camera.close()
    assert time.process_time() - started < 2
    with np.load(tmp_path / "long.0.npz") as part:
        assert len(part["raw_ns"]) >= 72_000


def test_truth_without_any_part_is_refused_and_a_part_that_is_no_truth_by_its_path(
    tmp_path: Path,
) -> None:
    parts = [tmp_path / f"truth.{index}.npz" for index in (0, 1)]
    with pytest.raises(Refusal, match="no camera wrote ground truth"):
        merge_truth(parts, tmp_path / "truth.npz")
    parts[0].write_bytes(b"not an archive")
    with pytest.raises(Refusal, match=r"truth\.0\.npz is no part of a truth file"):
        merge_truth(parts, tmp_path / "truth.npz")

"""A filmed clip with a calibration: what is read of its files, and which folder is none."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from cvsf.skeleton import COCO_17, H36M_16
from cvsf.system.errors import Refusal
from tests.support.datasets import STANDING
from train.data.clip import CAMERAS, POSES, is_clip, read_clip, video_of

FRAMES, RATE_HZ, SIZE = 5, 25, (64, 48)
LEVEL = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
BENT = (-0.3, 0.1, 0.001, -0.002, 0.0)
INSIDE = np.array([[50.0, 0, 32], [0, 50.0, 24], [0, 0, 1]])


def body() -> npt.NDArray[np.float64]:
    """(N, 17, 3) in mm: it walks towards the first camera."""
    still = np.array([STANDING[joint] for joint in COCO_17.joints], float)
    return np.asarray(still + np.arange(FRAMES)[:, None, None] * [100.0, 0, 0])


def clip(folder: Path, bent: tuple[float, ...] = BENT) -> Path:
    """Two cameras, the second from the left, as the clip's own tools write it."""
    folder.mkdir()
    cameras: list[dict[str, Any]] = []
    seen = np.ones((FRAMES, 2, len(COCO_17), 3))
    quarter = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    for view, rotation in enumerate((LEVEL, LEVEL @ quarter)):
        shift = np.array([0.0, 1000, 5000])
        turned, _ = cv2.Rodrigues(rotation)
        pixels, _ = cv2.projectPoints(
            body().reshape(-1, 1, 3), turned, shift, INSIDE, np.array(bent)
        )
        seen[:, view, :, :2] = pixels.reshape(FRAMES, -1, 2)
        cameras.append(
            {
                "camera": f"left{view}",
                "R": rotation.tolist(),
                "t_mm": shift.tolist(),
                "K": INSIDE.tolist(),
                "distortion": list(bent),
            }
        )
        video = cv2.VideoWriter(
            str(folder / f"left{view}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), RATE_HZ, SIZE
        )
        for _ in range(FRAMES):
            video.write(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
        video.release()
    world = body()
    world[1, COCO_17.index("lwrist")] = np.nan
    np.savez(folder / POSES, kp2d=seen, tri3d_mm=world)
    (folder / CAMERAS).write_text(json.dumps(cameras))
    return folder


def test_a_clip_is_read_with_the_times_and_sizes_of_its_videos(tmp_path: Path) -> None:
    instants = read_clip(clip(tmp_path / "walk"))
    assert instants.session == ("walk",) * FRAMES
    assert instants.cameras == ("left0", "left1")
    np.testing.assert_allclose(instants.t_s, np.arange(FRAMES) / RATE_HZ)
    assert (instants.image_px == SIZE).all()
    head, hip = (instants.confidence[..., H36M_16.index(joint)] for joint in ("head", "hip"))
    assert not head.any()  # the detector's joints hold none
    assert hip.all()


def test_the_calibration_explains_the_keypoints_without_distortion(tmp_path: Path) -> None:
    instants = read_clip(clip(tmp_path / "walk"))
    truth = instants.truth
    assert truth.rig is not None
    assert truth.joints_mm is not None
    assert truth.undistorted_px is not None
    limbs = list(truth.scored)
    assert {H36M_16.joints[j] for j in limbs}.isdisjoint({"hip", "spine", "thorax", "head"})
    local = truth.joints_mm
    shown = 50.0 * local[..., :2] / local[..., 2:] + [32, 24]
    known = np.asarray(np.isfinite(shown).all(-1))
    off = np.abs(truth.undistorted_px - shown)[known]
    assert off.max() < 0.01
    bent = np.abs(instants.keypoints_px - shown)[known]
    assert bent.max() > 0.1
    np.testing.assert_allclose(truth.rig.focal_px, 50.0)
    assert np.isnan(local[1, :, H36M_16.index("lwrist")]).all()
    assert known[:, :, limbs].sum() == known[:, :, limbs].size - 2


def test_a_video_that_opencv_cannot_open_is_refused_by_its_camera(tmp_path: Path) -> None:
    folder = clip(tmp_path / "walk")
    (folder / "left1.avi").write_bytes(b"no video")
    with pytest.raises(Refusal, match="the video of left1 cannot be read"):
        read_clip(folder)


def test_a_folder_that_lacks_a_piece_of_the_clip_is_refused_by_name(tmp_path: Path) -> None:
    folder = clip(tmp_path / "walk")
    assert is_clip(folder)
    assert not is_clip(tmp_path)
    assert video_of(folder, "left1") == folder / "left1.avi"
    (folder / "left1.avi").unlink()
    with pytest.raises(Refusal, match=r"walk has no video named left1; cameras\.json names it"):
        read_clip(folder)
    (folder / "left0.avi").rename(folder / "left1.avi")
    (folder / CAMERAS).write_text("[{}]")
    with pytest.raises(Refusal, match=r"has no readable cameras\.json and movenet_2d"):
        read_clip(folder)

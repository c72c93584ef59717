"""The clip bench: what it refuses, and the share of pictures in which the person was followed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvsf.messages import MultiviewPose
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from runtime.bench.clip import _followed, _read, _video, bench_clip

CAMERA: dict[str, Any] = {
    "camera": "a",
    "K": [[1000.0, 0, 640], [0, 1000.0, 360], [0, 0, 1]],
    "distortion": [0.0] * 5,
}


def pose(*points_px: tuple[float, float]) -> MultiviewPose:
    """One view in which just those joints were found."""
    keypoints = np.zeros((1, len(H36M_16), 2), np.float32)
    confidence = np.zeros((1, len(H36M_16)), np.float32)
    for joint, xy in enumerate(points_px):
        keypoints[0, joint], confidence[0, joint] = xy, 0.8
    return MultiviewPose(
        t_ns=0,
        instant=0,
        cameras=("a",),
        image_px=np.array([[1280, 720]], np.float32),
        keypoints_px=keypoints,
        confidence=confidence,
    )


def hip_at(*where_mm: tuple[float, float, float]) -> np.ndarray:
    """Joints (N, 1, J, 3) of which the hip alone is known."""
    joints = np.full((len(where_mm), 1, len(H36M_16), 3), np.nan)
    joints[:, 0, H36M_16.index("hip")] = where_mm
    return joints


def test_a_folder_without_cameras_json_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=f"{tmp_path} has no readable cameras.json"):
        bench_clip(tmp_path, "rtmpose-m")
    (tmp_path / "cameras.json").write_text("[{")
    with pytest.raises(Refusal, match="name a folder that has"):
        _read(tmp_path)


def test_a_camera_whose_video_is_missing_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "cameras.json").write_text(json.dumps([CAMERA]))
    (tmp_path / "a.txt").touch()
    (tmp_path / "ab.mp4").touch()
    with pytest.raises(Refusal, match=r"has no video named a; cameras\.json names it"):
        bench_clip(tmp_path, "rtmpose-m")
    (tmp_path / "a.mov").touch()
    assert _video(tmp_path, "a") == tmp_path / "a.mov"


def test_followed_is_the_share_of_pictures_whose_box_holds_the_hip() -> None:
    """The hip, 4 m ahead, is seen at (640, 360); the third picture has nobody in it."""
    around = pose((600, 300), (700, 400))
    beside = pose((700, 300), (800, 400))
    local = hip_at(*3 * [(0.0, 0.0, 4000.0)])
    assert _followed([around, beside, pose()], local, [CAMERA]) == 0.3333


def test_the_box_is_a_tenth_larger_than_the_joints_on_every_side() -> None:
    """A box from x = 650 to 750 reaches down to 640 with its margin, and one from 652 does not."""
    local = hip_at((0.0, 0.0, 4000.0))
    assert _followed([pose((649, 300), (749, 400))], local, [CAMERA]) == 1
    assert _followed([pose((652, 300), (752, 400))], local, [CAMERA]) == 0


def test_an_instant_whose_hip_nobody_knows_is_not_counted() -> None:
    poses = [pose((600, 300), (700, 400)), pose()]
    local = hip_at((0.0, 0.0, 4000.0), (np.nan, 0.0, 4000.0))
    assert _followed(poses, local, [CAMERA]) == 1

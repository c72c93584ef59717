"""The cameras that other programs read are the same cameras."""

import tomllib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvsf.multiview.camera_toml import cameras_to_toml, read_intrinsics
from cvsf.system.errors import Refusal
from tests.support.level_cameras import bent
from tests.support.rehearsed import Rehearsed


def test_opencv_projects_with_the_written_cameras_to_the_same_pixels(walk: Rehearsed) -> None:
    known = walk.true_calibration(0)
    rig = replace(
        known.rig,
        distortion=bent([-0.3, 0.1, 0, 0]),
        cameras=("left", 'the "far" one', "cam2", "Süd"),
    )
    joints = walk.world_mm[:5] / 1000
    wanted = rig.project(joints)
    tables = tomllib.loads(cameras_to_toml(replace(known, rig=rig)))
    assert [tables[f"cam_{view}"]["name"] for view in range(4)] == list(rig.cameras)
    for view in range(4):
        table = tables[f"cam_{view}"]
        assert table["size"] == rig.image_px[view].tolist()
        px, _ = cv2.projectPoints(
            joints.reshape(-1, 3),
            np.array(table["rotation"]),
            np.array(table["translation"]),
            np.array(table["matrix"]),
            np.array(table["distortions"]),
        )
        np.testing.assert_allclose(px.reshape(5, -1, 2), wanted[:, view], atol=1e-6)


def test_panning_cameras_have_no_such_file(walk: Rehearsed) -> None:
    with pytest.raises(ValueError, match="pan"):
        cameras_to_toml(walk.true_calibration(slice(None)))


def test_delays_and_the_reprojection_error_are_said(walk: Rehearsed) -> None:
    known = walk.true_calibration(0)
    known.uncertainty.reprojection_px[:] = 2.5, 3.0, 3.5, 9.0
    assert cameras_to_toml(known).startswith("[cam_0]")
    delays = replace(known.rig, delay_s=np.array([0, 0, 1.0, 0]))
    text = cameras_to_toml(replace(known, rig=delays))
    assert "cam2 +1.000\n" in text.splitlines(keepends=True)[0]
    assert tomllib.loads(text)["metadata"]["error"] == 3.25
    text = cameras_to_toml(known, mirrored=["cam3", "cam1"])
    assert text.splitlines()[0].endswith("these films are mirrored: cam1, cam3")


MATRIX = "matrix = [[1200.0, 0.0, 960.0], [0.0, 1200.0, 540.0], [0.0, 0.0, 1.0]]"
SIZES = np.array([[1920, 1080], [960, 540], [1920, 1080]], np.float32)
NAMES = ("left", "right", "cam2")
POSE2SIM = f"""
[cam_01]
name = "left"
size = [ 1920.0, 1080.0]
{MATRIX}
distortions = [ -0.3, 0.1, 0.0, 0.0]
rotation = [ 0.0, 0.0, 0.0]
translation = [ 0.0, 0.0, 0.0]
fisheye = false

[right]
size = [1920, 1080]
{MATRIX}
distortions = [-0.2, 0.0, 0.0, 0.0, 0.0]

[metadata]
adjusted = false
error = 0.0
"""
CALISCOPE = f"""
[cameras.2]
cam_id = 2
size = [1920, 1080]
rotation_count = 0
{MATRIX}
distortions = [-0.1, 0.0, 0.0, 0.0, 0.0]
"""


def read(tmp_path: Path, text: str) -> tuple[list[bool], list[float], list[float]]:
    (tmp_path / "lenses.toml").write_text(text)
    found = read_intrinsics(tmp_path / "lenses.toml", NAMES, SIZES)
    return found.is_known.tolist(), found.focal_px.tolist(), found.distortion[:, 0].tolist()


def test_cameras_of_pose2sim_are_found_by_name_and_scaled(tmp_path: Path) -> None:
    known, focal, k1 = read(tmp_path, POSE2SIM)
    assert known == [True, True, False]
    assert focal[:2] == [1200, 600]
    assert k1[:2] == [-0.3, -0.2]


def test_cameras_of_caliscope_are_found_by_their_number(tmp_path: Path) -> None:
    known, focal, k1 = read(tmp_path, CALISCOPE)
    assert known == [False, False, True]
    assert (focal[2], k1[2]) == (1200, -0.1)


def test_written_cameras_are_read_back_as_known_lenses(walk: Rehearsed, tmp_path: Path) -> None:
    known = walk.true_calibration(0)
    rig = replace(known.rig, distortion=bent([-0.3, 0.1, 0, 0]))
    (tmp_path / "rig.toml").write_text(cameras_to_toml(replace(known, rig=rig)))
    again = read_intrinsics(tmp_path / "rig.toml", rig.cameras, rig.image_px.astype(np.float32))
    np.testing.assert_allclose(again.focal_px, rig.focal_px)
    np.testing.assert_allclose(again.centre_px, rig.centre_px)
    np.testing.assert_allclose(again.distortion, rig.distortion)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[cam_0", "is no TOML file"),
        ("a = 1", "has no camera"),
        (POSE2SIM.replace("left", "a").replace("right", "b"), "expected one of left, right, cam2"),
        (POSE2SIM.replace("1200.0, 0.0, 960", "900.0, 0.0, 960"), "fx and fy of left"),
        (POSE2SIM.replace("-0.3", '"x"'), "left"),
        (POSE2SIM.replace("[ 1920.0, 1080.0]", "[1080, 1920]"), "left was calibrated at 1080"),
        (POSE2SIM.replace("[ 1920.0, 1080.0]", "[1920]"), "left"),
    ],
)
def test_a_file_without_usable_intrinsics_is_refused_with_the_reason(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(Refusal, match=sentence):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        read_intrinsics(tmp_path / "none.toml", NAMES, SIZES)

"""Lenses by the camera's name, in the layouts of other programs."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.multiview.known_lenses import (
    is_only_numbered,
    known_intrinsics,
    lenses_to_toml,
    merged,
    read_intrinsics,
    read_lenses,
)
from cvsf.system.errors import Refusal
from tests.support.lenses import made_lens

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
        (POSE2SIM.replace("[ 1920.0, 1080.0]", "[0, 0]"), "the size of left"),
        (POSE2SIM.replace("[ 1920.0, 1080.0]", "[-1920, -1080]"), "the size of left"),
        (POSE2SIM.replace("[ 1920.0, 1080.0]", "[nan, nan]"), "the size of left"),
        (POSE2SIM.replace("fisheye = false", "fisheye = true"), "left has a fisheye lens"),
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


def test_written_lenses_are_read_back(tmp_path: Path) -> None:
    lenses = {
        "left": made_lens(1200),
        'the "far" one': made_lens(900, None),
        "Süd.1": made_lens(1000),
    }
    (tmp_path / "lenses.toml").write_text(lenses_to_toml(lenses), "utf-8")
    assert read_lenses(tmp_path / "lenses.toml") == lenses


def test_a_lens_that_does_not_fit_its_pictures_is_left_out_with_the_reason() -> None:
    known, problems = known_intrinsics(
        {"left": made_lens(1200), "right": made_lens(1200), "gone": made_lens(1200)},
        ("left", "right", "gone"),
        np.array([[1080, 1920], [960, 540], [0, 0]], np.float32),
    )
    assert known.is_known.tolist() == [False, True, False]
    assert known.K[1, 0, 0] == 600
    assert np.isnan(known.K[0]).all()
    assert list(problems) == ["left"]
    assert "1080 x 1920" in problems["left"]


@pytest.mark.parametrize("table", ["cam_02", "cam2", "int_cam2_img", "2", "camera02"])
def test_names_that_only_number_a_camera_are_the_same(table: str) -> None:
    size_px = np.array([[1920, 1080]], np.float32)
    assert is_only_numbered(table)
    assert known_intrinsics({table: made_lens(1200)}, ("cam2",), size_px)[0].is_known.all()
    assert not known_intrinsics({table: made_lens(1200)}, ("left2",), size_px)[0].is_known.any()


def test_a_name_of_its_own_is_no_number() -> None:
    assert not is_only_numbered("left2")
    size_px = np.array([[1920, 1080]], np.float32)
    assert not known_intrinsics({"left2": made_lens(1200)}, ("cam2",), size_px)[0].is_known.any()


def test_of_several_groups_the_last_has_a_camera_by_name_or_number() -> None:
    found = merged(
        {"cam0": made_lens(1), "left": made_lens(2), "cam1": made_lens(3)},
        {"0": made_lens(4), "left": made_lens(5)},
        {"cam_00": made_lens(6)},
    )
    focal_px = {name: lens.matrix[0][0] for name, lens in found.items()}
    assert focal_px == {"left": 5, "cam1": 3, "cam_00": 6}

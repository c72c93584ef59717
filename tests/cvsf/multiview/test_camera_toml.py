"""The cameras that other programs read are the same cameras."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.camera_toml import cameras_to_caliscope, cameras_to_toml
from cvsf.multiview.known_lenses import read_intrinsics
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


@pytest.mark.parametrize("to_text", [cameras_to_toml, cameras_to_caliscope])
def test_panning_cameras_have_no_such_file(
    walk: Rehearsed, to_text: Callable[[Calibration], str]
) -> None:
    with pytest.raises(ValueError, match="pan"):
        to_text(walk.true_calibration(slice(None)))


def test_caliscopes_cameras_are_the_same_by_number_with_the_names_in_a_comment(
    walk: Rehearsed,
) -> None:
    known = walk.true_calibration(0)
    known = replace(known, rig=replace(known.rig, cameras=("left", "b", "c", "d")))
    text = cameras_to_caliscope(known, mirrored=["c"])
    assert text.startswith("# 0 is left, 1 is b, 2 is c, 3 is d\n")
    assert "mirrored: c" in text
    ours = tomllib.loads(cameras_to_toml(known))
    theirs = tomllib.loads(text)["cameras"]
    assert list(theirs) == ["0", "1", "2", "3"]
    for view in range(4):
        one = theirs[str(view)]
        assert one["cam_id"] == view
        for key in ("size", "matrix", "distortions", "rotation", "translation"):
            assert one[key] == ours[f"cam_{view}"][key]


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


def test_written_cameras_are_read_back_as_known_lenses(walk: Rehearsed, tmp_path: Path) -> None:
    known = walk.true_calibration(0)
    rig = replace(known.rig, distortion=bent([-0.3, 0.1, 0, 0]))
    (tmp_path / "rig.toml").write_text(cameras_to_toml(replace(known, rig=rig)))
    again = read_intrinsics(tmp_path / "rig.toml", rig.cameras, rig.image_px.astype(np.float32))
    np.testing.assert_allclose(again.focal_px, rig.focal_px)
    np.testing.assert_allclose(again.centre_px, rig.centre_px)
    np.testing.assert_allclose(again.distortion, rig.distortion)

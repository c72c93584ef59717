"""`cvsf cameras`, on a machine that may have none."""

import json
import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
import typer
from typer.testing import CliRunner

from capture import list_cameras as command
from capture.list_cameras import contact_sheet
from capture.sources.v4l2_devices import Listed
from cvsf.multiview.known_lenses import kept_lenses
from cvsf.system.errors import Refusal

app = typer.Typer()
app.command()(command.cameras)


def answer(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    found = json.loads(result.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    lens = Listed(
        device=Path("/dev/video0"),
        stable=Path("/dev/v4l/by-id/usb-lens"),
        card="Lens",
        driver="uvcvideo",
        formats={"MJPG": ((1280, 720), (640, 480))},
    )
    monkeypatch.setattr(command, "list_cameras", lambda: ([lens], []))


def test_each_camera_is_listed_with_its_stable_name_and_formats(
    plugged_in: None, tmp_path: Path
) -> None:
    (camera,) = answer("--data", str(tmp_path))["cameras"]
    assert camera["stable"] == "/dev/v4l/by-id/usb-lens"
    assert camera["formats"] == {"MJPG": [[1280, 720], [640, 480]]}
    assert camera["name"] is None


def test_a_given_name_is_kept_in_cameras_toml_for_its_camera(
    plugged_in: None, tmp_path: Path
) -> None:
    found = answer("--data", str(tmp_path), "--name", "0=left", "--name", "rtsp://a/b=right")
    assert found["names"] == {"left": "/dev/v4l/by-id/usb-lens", "right": "rtsp://a/b"}
    kept = tomllib.loads((tmp_path / "cameras.toml").read_text())
    assert kept == {"cameras": found["names"]}
    again = answer("--data", str(tmp_path), "--name", "0=top")
    assert again["names"] == {"right": "rtsp://a/b", "top": "/dev/v4l/by-id/usb-lens"}


@pytest.mark.parametrize("name", ["left", "0=", "0=7", "0=sim", "0=a b", "9=left", "x.mp4=left"])
def test_a_camera_name_that_cannot_be_is_refused(
    plugged_in: None, tmp_path: Path, name: str
) -> None:
    with pytest.raises(Refusal):
        answer("--data", str(tmp_path), "--name", name)
    assert not (tmp_path / "cameras.toml").exists()


def test_preview_writes_a_picture_each_and_a_contact_sheet(tmp_path: Path) -> None:
    for i in range(2):
        path = str(tmp_path / f"cam{i}.avi")
        video = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
        video.write(np.full((48, 64, 3), 100 * (i + 1), np.uint8))
        video.release()
    out = tmp_path / "seen"
    found = answer("--source", f"{tmp_path}/cam*.avi", "--cams", "2", "--preview", str(out))
    assert sorted(found["preview"]) == ["cam0", "cam1", "contact_sheet"]
    seen = simplejpeg.decode_jpeg((out / "cam1.jpg").read_bytes())
    assert abs(float(seen.mean()) - 200) < 5
    assert (out / "contact_sheet.jpg").stat().st_size > 0


def test_a_preview_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "a.avi")
    video = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    video.write(np.zeros((48, 64, 3), np.uint8))
    video.release()
    with pytest.raises(Refusal, match="cannot be written"):
        answer("--source", path, "--cams", "1", "--preview", path)


def test_a_contact_sheet_keeps_the_aspect_of_every_picture() -> None:
    wide = simplejpeg.encode_jpeg(np.full((90, 160, 3), 255, np.uint8))
    tall = simplejpeg.encode_jpeg(np.full((160, 91, 3), 255, np.uint8))
    sheet = contact_sheet([wide, tall, wide])
    assert sheet.shape == (720, 960, 3)
    lit = sheet[:360, :480].mean(axis=2) > 128
    assert lit.any(axis=0).all()
    assert not lit.any(axis=1).all()


LENS = """
[{}]
matrix = [[900.0, 0.0, 640.0], [0.0, 900.0, 360.0], [0.0, 0.0, 1.0]]
distortions = [-0.3, 0.1]
size = [1280, 720]
"""


def test_lenses_of_named_cameras_are_kept_beside_those_kept_before(
    plugged_in: None, tmp_path: Path
) -> None:
    data = ["--data", str(tmp_path)]
    answer(*data, "--name", "0=left", "--name", "rtsp://a/b=right")
    for camera in ("left", "right"):
        file = tmp_path / f"{camera}-lens.toml"
        file.write_text(LENS.format(camera) + LENS.format("unnamed"))
        found = answer(*data, "--intrinsics", str(file))["lenses"]
    assert list(found) == ["left", "right"] == list(kept_lenses(tmp_path))
    assert found["left"]["size"] == [1280, 720]
    assert answer(*data)["lenses"] == found


@pytest.mark.parametrize(
    ("name", "table", "sentence"),
    [
        ("left", "right", "has the cameras right, expected names .* .left.: name the cameras"),
        ("cam0", "cam0", "cam0 may be the name of any camera"),
    ],
)
def test_a_lens_of_a_camera_without_a_name_of_its_own_is_refused(
    plugged_in: None, tmp_path: Path, name: str, table: str, sentence: str
) -> None:
    (tmp_path / "lens.toml").write_text(LENS.format(table))
    words = ["--data", str(tmp_path), "--name", f"0={name}"]
    with pytest.raises(Refusal, match=sentence):
        answer(*words, "--intrinsics", str(tmp_path / "lens.toml"))
    assert not kept_lenses(tmp_path)


def test_a_name_that_goes_to_another_camera_loses_its_lens(
    plugged_in: None, tmp_path: Path
) -> None:
    data = ["--data", str(tmp_path)]
    (tmp_path / "lens.toml").write_text(LENS.format("left") + LENS.format("right"))
    names = ["--name", "0=left", "--name", "rtsp://a/b=right"]
    answer(*data, *names, "--intrinsics", str(tmp_path / "lens.toml"))
    assert list(kept_lenses(tmp_path)) == ["left", "right"]
    assert list(answer(*data, "--name", "rtsp://a/c=right")["lenses"]) == ["left"]
    assert answer(*data, "--name", "rtsp://a/d=left")["lenses"] == {}
    assert kept_lenses(tmp_path) == {}

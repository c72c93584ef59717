"""What `--source` may say, and the sentence for everything it may not."""

import logging
import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.open_source import SourceSpec, find_sources, open_source
from capture.simulator.scenario import read_address
from capture.sources import v4l2_devices
from capture.sources.source import SourceConfig
from cvsf.system.errors import Refusal


def write_clip(path: Path) -> Path:
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 20, (32, 32))
    for _ in range(3):
        video.write(np.zeros((32, 32, 3), np.uint8))
    video.release()
    return path


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for i in (2, 1, 3):
        write_clip(tmp_path / f"cam{i:02}.mp4")
    return tmp_path


def test_a_glob_gives_its_files_sorted_and_named_by_their_stems(clips: Path) -> None:
    assert find_sources(f"{clips}/cam0*.mp4", 3) == [
        SourceSpec(camera=f"cam0{i}", uri=f"file:{clips}/cam0{i}.mp4") for i in (1, 2, 3)
    ]


def test_a_list_keeps_its_order_and_a_relative_path_becomes_absolute(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clips)
    specs = find_sources("cam03.mp4,cam01.mp4", 2)
    assert [spec.uri for spec in specs] == [f"file:{clips}/cam03.mp4", f"file:{clips}/cam01.mp4"]


def test_files_with_one_stem_are_numbered(clips: Path) -> None:
    (clips / "other").mkdir()
    write_clip(clips / "other" / "cam01.mp4")
    specs = find_sources(f"{clips}/cam01.mp4,{clips}/other/cam01.mp4", 2)
    assert [spec.camera for spec in specs] == ["cam0", "cam1"]


def test_given_names_become_the_names_of_the_cameras(clips: Path) -> None:
    specs = find_sources(f"{clips}/*.mp4", 3, ["left", "top", "right"])
    assert [spec.camera for spec in specs] == ["left", "top", "right"]


def test_of_too_many_files_the_first_are_taken_and_a_line_is_logged(
    clips: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        specs = find_sources(f"{clips}/*.mp4", 2)
    assert [spec.camera for spec in specs] == ["cam01", "cam02"]
    assert "more cameras than asked for, the first are taken" in caplog.messages


@pytest.mark.parametrize(
    ("source", "uris"),
    [
        ("sim", ["sim:still?index=0", "sim:still?index=1"]),
        ("sim:moving", ["sim:moving?index=0", "sim:moving?index=1"]),
        ("sim:2,3", ["sim:still?index=2", "sim:still?index=3"]),
        ("sim:moving:2,3", ["sim:moving?index=2", "sim:moving?index=3"]),
        ("sim?turn=1:-5@2.5", ["sim:still?index=0", "sim:still?index=1&turn=-5.0@2.5"]),
        ("sim?take=3", ["sim:still?index=0&take=3", "sim:still?index=1&take=3"]),
        (
            "sim?take=3&turn=1:5@2",
            ["sim:still?index=0&take=3", "sim:still?index=1&take=3&turn=5.0@2.0"],
        ),
    ],
)
def test_a_simulated_source_gives_the_address_of_each_of_its_cameras(
    source: str, uris: list[str]
) -> None:
    specs = find_sources(source, 2)
    assert [spec.uri for spec in specs] == uris
    assert [spec.camera for spec in specs] == [f"cam{read_address(uri).index}" for uri in uris]
    assert [read_address(uri).take for uri in uris] == [3 * ("take=3" in source)] * 2


@pytest.mark.parametrize(
    ("source", "cams", "sentence"),
    [
        ("{clips}/cam0*.mp4", 4, r"3 cameras where 4 were asked for \(cam01, cam02, cam03\)"),
        ("{clips}/cam01.mp4,{clips}/cam01.mp4", 2, "named twice"),
        ("{clips}/none*.mp4", 1, "no file matches"),
        ("{clips}/gone.mp4", 1, "no such file"),
        ("{clips}", 1, "is no session"),
        ("{clips}/cam01.mp4,rtsp://127.0.0.1:{open}/x", 2, "mixes files with live cameras"),
        ("rtsp://127.0.0.1:1/x", 1, "no camera answers at 127.0.0.1:1"),
        ("rtsp:///x", 1, "names no host"),
        ("rtsp://127.0.0.1:banana/x", 1, "is no address"),
        ("webcam", 1, "unknown source"),
        ("http://127.0.0.1/x", 1, "unknown source"),
        ("", 1, "unknown source"),
        ("sim:upside-down", 1, "no simulated source"),
        ("sim:2,3", 4, "2 cameras where 4 were asked for"),
        ("sim:99", 1, "no simulated source"),
        ("sim?turn=2:5@1", 2, "no simulated source"),
        ("sim?turn=0:5", 1, "no simulated source"),
        ("sim:moving?turn=0:5@1", 1, "cannot be knocked"),
        ("sim", 0, "0 cameras were asked for"),
        ("sim", 17, "17 cameras were asked for, and a hub takes at most 16"),
        ("{clips}/cam0*.mp4", 17, "17 cameras were asked for, and a hub takes at most 16"),
        ("/dev/video99", 1, "no camera at /dev/video99"),
        ("99", 1, "no camera 99"),
    ],
)
def test_a_source_that_cannot_be_opened_is_refused_with_its_reason(
    clips: Path, source: str, cams: int, sentence: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = source.format(clips=clips, open=server.getsockname()[1])
        with pytest.raises(Refusal, match=sentence):
            find_sources(text, cams)


def test_camera_names_of_wrong_number_or_form_are_refused() -> None:
    for names, sentence in (
        (["left"], "1 names were given for 2 cameras"),
        (["left", "left"], "two cameras are named 'left'"),
        (["left", "../right"], "is no camera name"),
    ):
        with pytest.raises(Refusal, match=sentence):
            find_sources("sim", 2, names)


def test_a_given_name_finds_its_camera(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"rtsp://127.0.0.1:{server.getsockname()[1]}/left"
        v4l2_devices.write_names(tmp_path, {"left": address})
        assert find_sources("left", 1, data=tmp_path) == [SourceSpec(camera="left", uri=address)]
    with pytest.raises(Refusal, match=r"names known: left"):
        find_sources("right", 1, data=tmp_path)


def test_an_unknown_address_is_refused() -> None:
    with pytest.raises(Refusal, match="is no source"):
        open_source("ftp:/x", SourceConfig())


def test_opencv_is_limited_to_64_megapixels() -> None:
    assert int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"]) <= 1 << 26

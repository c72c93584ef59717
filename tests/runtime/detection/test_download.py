"""Networks downloaded: resumed where they broke off, checked, refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.system.errors import Refusal
from runtime.detection.download import fetch
from tests.support.file_server import Server, sha256, zipped

CONTENT = np.random.default_rng(0).bytes(300_000)


def test_a_download_that_breaks_off_is_resumed_at_once(server: Server, tmp_path: Path) -> None:
    server.files["pose.onnx"] = CONTENT
    server.breaks = [100_000, 50_000]
    place = tmp_path / "pose.onnx"
    assert fetch(server.url("pose.onnx"), None, place, "pose", "none") == sha256(CONTENT)
    assert place.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_a_download_given_up_is_resumed_next_time(server: Server, tmp_path: Path) -> None:
    server.files["pose.onnx"] = CONTENT
    server.breaks = [100_000, *[0] * 20]
    place = tmp_path / "pose.onnx"
    with pytest.raises(
        Refusal, match=f"broke off.*100000 bytes are kept.*copy the file to {place}"
    ):
        fetch(server.url("pose.onnx"), None, place, "pose", "none")
    assert not place.exists()
    server.breaks = []
    server.asked.clear()
    fetch(server.url("pose.onnx"), None, place, "pose", "none")
    assert server.asked == ["bytes=100000-"]
    assert place.read_bytes() == CONTENT


def test_a_file_changed_between_two_attempts_is_fetched_from_its_start(
    server: Server, tmp_path: Path
) -> None:
    server.files["pose.onnx"] = CONTENT
    server.breaks = [100_000, *[0] * 20]
    place = tmp_path / "pose.onnx"
    with pytest.raises(Refusal):
        fetch(server.url("pose.onnx"), None, place, "pose", "none")
    server.breaks, server.etag = [], '"two"'
    server.files["pose.onnx"] = CONTENT[::-1]
    fetch(server.url("pose.onnx"), None, place, "pose", "none")
    assert place.read_bytes() == CONTENT[::-1]


def test_a_file_smaller_than_its_part_is_fetched_from_its_start(
    server: Server, tmp_path: Path
) -> None:
    server.files["pose.onnx"] = CONTENT[:1000]
    place = tmp_path / "pose.onnx"
    place.with_name("pose.onnx.part").write_bytes(CONTENT)
    fetch(server.url("pose.onnx"), None, place, "pose", "none")
    assert place.read_bytes() == CONTENT[:1000]


def test_without_a_network_a_download_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"could not be downloaded.*refused.*copy the file to"):
        fetch("http://127.0.0.1:9/pose.onnx", None, tmp_path / "pose.onnx", "pose", "none")


def test_a_file_that_the_server_lacks_is_refused_with_its_answer(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match="the server answers 404"):
        fetch(server.url("gone.onnx"), None, tmp_path / "pose.onnx", "pose", "none")


@pytest.mark.parametrize(
    ("archive", "sentence"),
    [
        (zipped(("readme.txt", b"hello")), "holds 0 files named end2end.onnx"),
        (zipped(("a/end2end.onnx", b"1"), ("b/end2end.onnx", b"2")), "holds 2 files"),
        (CONTENT, "not a readable zip archive"),
        (zipped(("end2end.onnx", CONTENT)).replace(CONTENT[:50], bytes(50)), "not a readable zip"),
    ],
)
def test_an_archive_without_the_one_file_is_refused(
    archive: bytes, sentence: str, server: Server, tmp_path: Path
) -> None:
    server.files["pose.zip"] = archive
    place = tmp_path / "pose.onnx"
    with pytest.raises(Refusal, match=sentence):
        fetch(server.url("pose.zip"), "end2end.onnx", place, "pose", "none")
    assert not place.exists()


def test_an_endless_download_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.detection.download._MAX_BYTES", 1000)
    server.files["pose.onnx"] = CONTENT
    with pytest.raises(Refusal, match="300000 bytes, expected at most 1000"):
        fetch(server.url("pose.onnx"), None, tmp_path / "pose.onnx", "pose", "none")


def test_a_folder_that_cannot_be_written_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Refusal, match="cannot be stored"):
        fetch(server.url("pose.onnx"), None, tmp_path / "file" / "pose.onnx", "pose", "none")

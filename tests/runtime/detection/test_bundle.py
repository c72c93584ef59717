"""Bundles are found, fetched, resumed and verified, and every way to be wrong has its sentence."""

import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvsf.system.errors import Refusal
from runtime.detection.bundle import (
    DEFAULT,
    MANIFEST,
    SHIPPED,
    SIMULATED,
    load_bundle,
    read_manifest,
)
from runtime.detection.download import fetch

CONTENT = np.random.default_rng(0).bytes(300_000)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_bundle(folder: Path, **change: Any) -> Path:
    """A whole-frame bundle of one made-up file."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((SHIPPED / "rtmo-s" / MANIFEST).read_text())
    manifest["name"] = folder.name
    manifest["pose"] |= change.pop("pose", {})
    (folder / MANIFEST).write_text(json.dumps(manifest | change))
    return folder


class Server(ThreadingHTTPServer):
    """Serves bytes by path with ranges, breaks off where told, remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.etag = '"one"'
        self.breaks: list[int] = []  # bytes after which each coming answer ends
        self.asked: list[str | None] = []  # the ranges

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        content = self.server.files.get(self.path[1:])
        if content is None:
            self.send_error(404)
            return
        start = 0
        if wanted and self.headers.get("If-Range", self.server.etag) == self.server.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        until = start + self.server.breaks.pop(0) if self.server.breaks else len(content)
        self.wfile.write(content[start:until])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def zipped(*members: tuple[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in members:
            opened.writestr(name, content)
    return archive.getvalue()


def test_every_shipped_manifest_is_sound_and_invents_no_hash() -> None:
    manifests = {path.parent.name: read_manifest(path) for path in SHIPPED.glob(f"*/{MANIFEST}")}
    assert {DEFAULT, SIMULATED, "yolox-movenet", "rtmo-s", "rtmpose-m-halpe26"} <= set(manifests)
    for name, manifest in manifests.items():
        assert manifest.name == name
        assert manifest.licence == "Apache-2.0"
        for network in manifest.networks.values():
            fetched = network.url is not None
            assert fetched == name.startswith("rtm")
            if fetched:
                assert network.sha256 is None
                assert network.bytes is None
                assert not manifest.verified


def test_an_unknown_bundle_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"'openpose' is unknown.*rtmo-s, rtmpose-m,.*yolox-movenet"):
        load_bundle("openpose", tmp_path, offline=True)


def test_offline_says_what_to_place_where(tmp_path: Path) -> None:
    place = tmp_path / "bundles" / "rtmo-s" / "rtmo_s.onnx"
    with pytest.raises(Refusal, match=rf"--offline forbids.*{place}.*openmmlab.*end2end.onnx"):
        load_bundle("rtmo-s", tmp_path, offline=True)
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    bundle = load_bundle("rtmo-s", tmp_path, offline=True)
    assert bundle.files == {"pose": place}
    assert bundle.id.startswith("rtmo-s-")


def test_a_file_that_cannot_be_fetched_is_asked_for(tmp_path: Path) -> None:
    where = tmp_path / "bundles" / "yolox-movenet"
    with pytest.raises(Refusal, match=rf"lacks yolox_nano.onnx.*place it in {where}.*Megvii"):
        load_bundle("yolox-movenet", tmp_path, offline=False)


def test_a_bundle_placed_in_the_data_folder_has_a_name(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundles" / "my-own")
    (folder / "rtmo_s.onnx").write_bytes(CONTENT)
    assert load_bundle("my-own", tmp_path, offline=True).manifest.name == "my-own"


def test_a_folder_without_manifest_is_known_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "rtmo_s.onnx").write_bytes(CONTENT)
    assert load_bundle(str(tmp_path), tmp_path, offline=True).manifest.name == "rtmo-s"


def test_a_folder_with_neither_manifest_nor_known_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"holds neither.*yolox_nano.onnx \+ movenet_lightning.onnx"):
        load_bundle(str(tmp_path), tmp_path, offline=True)


def test_another_hash_than_the_manifests_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "own", pose={"sha256": sha256(CONTENT)})
    (folder / "rtmo_s.onnx").write_bytes(CONTENT)
    load_bundle(str(folder), tmp_path, offline=True)
    (folder / "rtmo_s.onnx").write_bytes(CONTENT[:-1])
    with pytest.raises(Refusal, match=f"its manifest says {sha256(CONTENT)}"):
        load_bundle(str(folder), tmp_path, offline=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"joint_set": "coco-18"}, "'coco-18'.*coco-17"),
        ({"colour": "RGB"}, "colour"),
        ({"kind": "person box then crop"}, "wrong networks"),
        ({"verified": True}, "a sha256 is missing"),
        ({"pose": {"mean": [1, 2]}}, r"pose: mean has 2 values, expected 1 or 3"),
        ({"pose": {"file": "../escape.onnx"}}, r"pose\.file"),
        ({"pose": {"sha256": "unknown"}}, r"pose\.sha256"),
        ({"pose": {"decoding": "yolox"}}, "does not fit the kind"),
    ],
)
def test_a_manifest_that_is_wrong_says_where(
    change: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path / "own", **change)
    with pytest.raises(Refusal, match=f"not a bundle manifest: .*{sentence}"):
        load_bundle(str(folder), tmp_path, offline=True)


def test_a_manifest_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("name = 'own'")
    with pytest.raises(Refusal, match="not a bundle manifest"):
        load_bundle(str(tmp_path), tmp_path, offline=True)


def test_a_download_is_announced_before_and_remembered_after(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["pose.zip"] = zipped(("a/b/end2end.onnx", CONTENT), ("../evil.txt", b"evil"))
    url = server.url("pose.zip")
    folder = write_bundle(tmp_path / "own", pose={"url": url, "member": "end2end.onnx"})
    bundle = load_bundle(str(folder), tmp_path, offline=False)
    assert bundle.files["pose"].read_bytes() == CONTENT
    assert not (tmp_path / "evil.txt").exists()
    assert sorted(p.name for p in folder.iterdir()) == [
        MANIFEST,
        "rtmo_s.onnx",
        "rtmo_s.onnx.sha256",
    ]
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(f"fetching own: rtmo_s.onnx (0.3 MB), licence Apache-2.0, from {url}")
    assert sha256(CONTENT) in said
    load_bundle(str(folder), tmp_path, offline=True)
    assert len(server.asked) == 1
    (folder / "rtmo_s.onnx").write_bytes(CONTENT[::-1])
    with pytest.raises(Refusal, match="when it was first fetched"):
        load_bundle(str(folder), tmp_path, offline=True)


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
        Refusal, match=f"broke off.*100000 bytes are kept.*place the file at {place}"
    ):
        fetch(server.url("pose.onnx"), None, place, "pose", "none")
    assert not place.exists()
    server.breaks = []
    server.asked.clear()
    fetch(server.url("pose.onnx"), None, place, "pose", "none")
    assert server.asked == ["bytes=100000-"]
    assert place.read_bytes() == CONTENT


def test_a_file_changed_between_two_attempts_is_fetched_anew(
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


def test_a_shrunken_file_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.files["pose.onnx"] = CONTENT[:1000]
    place = tmp_path / "pose.onnx"
    place.with_name("pose.onnx.part").write_bytes(CONTENT)
    fetch(server.url("pose.onnx"), None, place, "pose", "none")
    assert place.read_bytes() == CONTENT[:1000]


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"could not be downloaded.*refused.*place the file at"):
        fetch("http://127.0.0.1:9/pose.onnx", None, tmp_path / "pose.onnx", "pose", "none")


def test_a_missing_file_is_said_with_the_servers_answer(server: Server, tmp_path: Path) -> None:
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

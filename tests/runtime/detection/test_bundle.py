"""Bundles are found, fetched, resumed and verified, and every way to be wrong has its sentence."""

import json
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
from tests.support.file_server import Server, sha256, zipped

CONTENT = np.random.default_rng(0).bytes(300_000)


def write_bundle(folder: Path, **change: Any) -> Path:
    """A whole-frame bundle of one made-up file."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((SHIPPED / "rtmo-s" / MANIFEST).read_text())
    manifest["name"] = folder.name
    manifest["pose"] |= change.pop("pose", {})
    (folder / MANIFEST).write_text(json.dumps(manifest | change))
    return folder


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


def test_offline_a_missing_file_is_refused_with_the_place_for_it(tmp_path: Path) -> None:
    place = tmp_path / "bundles" / "rtmo-s" / "rtmo_s.onnx"
    with pytest.raises(Refusal, match=rf"--offline forbids.*{place}.*openmmlab.*end2end.onnx"):
        load_bundle("rtmo-s", tmp_path, offline=True)
    folder = write_bundle(tmp_path / "own")
    with pytest.raises(Refusal, match=rf"--offline forbids.*{folder / 'rtmo_s.onnx'}"):
        load_bundle(str(folder), tmp_path, offline=True)
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    bundle = load_bundle("rtmo-s", tmp_path, offline=True)
    assert bundle.files == {"pose": place}
    assert bundle.id.startswith("rtmo-s-")


def test_a_file_that_cannot_be_fetched_is_asked_for(tmp_path: Path) -> None:
    where = tmp_path / "bundles" / "yolox-movenet"
    with pytest.raises(Refusal, match=rf"lacks yolox_nano.onnx.*copy it to {where}.*Megvii"):
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
    with pytest.raises(Refusal, match=f"the manifest has {sha256(CONTENT)}"):
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
def test_a_wrong_manifest_is_refused_naming_the_field(
    change: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path / "own", **change)
    with pytest.raises(Refusal, match=f"not a bundle manifest: .*{sentence}"):
        load_bundle(str(folder), tmp_path, offline=True)


def test_a_manifest_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("name = 'own'")
    with pytest.raises(Refusal, match="not a bundle manifest"):
        load_bundle(str(tmp_path), tmp_path, offline=True)


def test_a_download_is_announced_and_its_hash_is_kept(
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
    with pytest.raises(Refusal, match="the first download had"):
        load_bundle(str(folder), tmp_path, offline=True)

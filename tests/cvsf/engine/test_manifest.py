"""The card of an engine: written, read back, and held against the files beside it."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.engine.engine import SHIPPED
from cvsf.engine.manifest import (
    GOLDEN,
    LIFTER,
    MANIFEST,
    Manifest,
    read_golden,
    read_manifest,
    sha256_of,
    verified_file,
)
from cvsf.system.errors import Refusal


def card(folder: Path, **changes: object) -> Manifest:
    """The shipped engine's, for a file of a few bytes."""
    (folder / LIFTER).write_bytes(b"a network")
    given = {"sha256": sha256_of(folder / LIFTER), "sha256_fp16": None, "golden": None}
    return read_manifest(SHIPPED).model_copy(update=given | {"golden_sha256": None} | changes)


def test_a_folder_without_a_manifest_is_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_a_manifest_written_beside_an_engine_is_read_back_unchanged(tmp_path: Path) -> None:
    for shipped in (read_manifest(SHIPPED), card(tmp_path)):
        shipped.write(tmp_path)
        assert read_manifest(tmp_path) == shipped


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sha256": "short"}, r"\(sha256: .*; compile the engine again"),
        ({"golden": "../golden.npz"}, r"\(golden: "),
        ({"max_views": 0}, r"\(max_views: "),
        ({"joint_set": "ours-99"}, "names joint set 'ours-99', expected one of .*h36m-16"),
    ],
)
def test_an_impossible_field_of_a_manifest_is_refused_by_its_name(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    card(tmp_path, **change).write(tmp_path)
    with pytest.raises(Refusal, match=sentence):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text("no json")
    with pytest.raises(Refusal, match="is not an engine's manifest"):
        read_manifest(tmp_path)


def test_a_network_with_another_sha256_than_its_manifest_is_refused(tmp_path: Path) -> None:
    whole = card(tmp_path)
    assert verified_file(tmp_path, whole) == tmp_path / LIFTER
    (tmp_path / LIFTER).write_bytes(b"another network")
    with pytest.raises(Refusal, match="the file was changed or damaged, compile the engine again"):
        verified_file(tmp_path, whole)
    (tmp_path / LIFTER).unlink()
    with pytest.raises(Refusal, match=r"has no lifter\.onnx; compile the engine again"):
        verified_file(tmp_path, whole)


def test_an_engine_without_half_layers_has_one_precision_and_refuses_the_other(
    tmp_path: Path,
) -> None:
    single = card(tmp_path)
    assert single.precisions == ("fp32",)
    with pytest.raises(Refusal, match="has no graph in fp16"):
        verified_file(tmp_path, single, "fp16")
    assert read_manifest(SHIPPED).precisions == ("fp32", "fp16")


def test_golden_vectors_are_read_as_float32_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    assert read_golden(tmp_path, card(tmp_path)) is None
    np.savez(tmp_path / GOLDEN, allow_pickle=False, fused=np.arange(3.0))
    with_golden = card(tmp_path, golden=GOLDEN)
    found = read_golden(tmp_path, with_golden)
    assert found is not None
    assert found["fused"].dtype == np.float32
    assert found["fused"].tolist() == [0, 1, 2]
    sworn = with_golden.model_copy(update={"golden_sha256": "0" * 64})
    with pytest.raises(Refusal, match=r"golden\.npz has sha256"):
        read_golden(tmp_path, sworn)
    (tmp_path / GOLDEN).write_bytes(b"PK")
    with pytest.raises(Refusal, match="holds no golden vectors"):
        read_golden(tmp_path, with_golden)

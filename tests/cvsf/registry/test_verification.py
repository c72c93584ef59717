"""An engine is opened only if its name, bytes, joints and golden vectors are as they should be."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.engine.manifest import GOLDEN, LIFTER, read_manifest
from cvsf.registry.verification import is_id, open_verified, read_verified, require_id
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.engines import tiny


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("lifter-1", True),
        ("2027-01-01_night.2", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("live", False),
        ("history.jsonl", False),
        (".hidden", False),
        ("a/b", False),
        ("", False),
        ("a\n", False),
    ],
)
def test_a_name_of_an_engine_is_one_that_a_folder_of_the_registry_can_have(
    name: str, is_one: bool
) -> None:
    assert is_id(name) == is_one
    if is_one:
        assert require_id(name) == name
    else:
        with pytest.raises(Refusal, match="is not a name of an engine; expected letters, digits"):
            require_id(name)


def test_a_whole_engine_is_opened_and_has_the_manifest_of_its_folder(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "one", "one")
    engine = open_verified(folder, "one", H36M_16.name)
    assert engine.id == "one"
    assert engine.manifest == read_verified(folder) == read_manifest(folder)
    engine.close()


def test_an_engine_of_another_name_or_joint_set_is_refused_with_both(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "one", "one")
    with pytest.raises(Refusal, match="holds the engine one, expected two; add it under"):
        open_verified(folder, "two", H36M_16.name)
    with pytest.raises(Refusal, match="is for the joints h36m-16, expected coco-17; compile"):
        open_verified(folder, "one", "coco-17")


@pytest.mark.parametrize("file", [LIFTER, GOLDEN])
def test_an_engine_with_a_changed_file_is_refused_by_its_sha256(tmp_path: Path, file: str) -> None:
    folder = tiny(tmp_path / "one", "one")
    with (folder / file).open("ab") as opened:
        opened.write(b"\0")
    with pytest.raises(Refusal, match=r"has sha256 .*; the file was changed or damaged"):
        read_verified(folder)
    with pytest.raises(Refusal, match=r"has sha256 .*; the file was changed or damaged"):
        open_verified(folder, "one", H36M_16.name)


def test_an_engine_whose_outputs_are_not_the_golden_ones_is_refused(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "one", "one")
    with np.load(folder / GOLDEN) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(folder / GOLDEN, allow_pickle=False, **arrays | {"fused": arrays["fused"] + 0.01})
    read_manifest(folder).model_copy(update={"golden_sha256": None}).write(folder)
    assert read_verified(folder).id == "one"  # its bytes are not vouched for any more
    with pytest.raises(Refusal, match="differs from its golden vectors by"):
        open_verified(folder, "one", H36M_16.name)

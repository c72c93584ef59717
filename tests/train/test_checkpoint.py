"""A run at rest: written whole, read back to the bit, refused where it is another file."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from cvsf.model.keypoint_adapter import Morph
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL
from train.checkpoint import (
    WEIGHTS,
    Checkpoint,
    read_checkpoint,
    read_morph,
    write_morph,
)
from train.config import TrainConfig
from train.loop.optimise import start


@pytest.fixture(scope="module")
def begun() -> Checkpoint:
    return start(TrainConfig(**SMALL), H36M_16, seed=3).checkpoint(("a", "b"))


def test_a_checkpoint_comes_back_as_it_was_written(begun: Checkpoint, tmp_path: Path) -> None:
    begun.write(tmp_path / "checkpoint.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    found = read_checkpoint(tmp_path / "checkpoint.pt")
    plain = [f.name for f in fields(Checkpoint) if f.name not in ("weights", "random")]
    assert {n: getattr(found, n) for n in plain} == {n: getattr(begun, n) for n in plain}
    for kept in ("weights", "random"):
        ours, theirs = getattr(found, kept), getattr(begun, kept)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_slim_checkpoint_lifts_the_same_and_holds_no_run_to_go_on_with(
    begun: Checkpoint,
) -> None:
    slim = replace(begun, curve=[{"step": 1.0}]).slim()
    assert (slim.optimiser, slim.random, slim.course, slim.curve) == ({}, {}, {}, [])
    plane, confidence = torch.randn(2, 3, 16, 2), torch.rand(2, 3, 16)
    with torch.no_grad():
        for ours, theirs in zip(
            slim.lifter()(plane, confidence), begun.lifter()(plane, confidence), strict=True
        ):
            assert torch.equal(ours, theirs)
    assert not slim.lifter().training


def test_the_checkpoint_of_a_folder_is_found_where_engines_and_runs_have_theirs(
    begun: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / "seed-0").mkdir()
    begun.write(tmp_path / "seed-0" / "checkpoint.pt")
    assert read_checkpoint(tmp_path).seed == 3
    replace(begun, seed=4).write(tmp_path / WEIGHTS)
    assert read_checkpoint(tmp_path).seed == 4


def test_a_missing_file_and_weights_of_another_network_are_refused(
    begun: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Refusal, match=r"no checkpoint at .*checkpoint\.pt; expected"):
        read_checkpoint(path)
    replace(begun, shape=begun.shape | {"width": 48}).write(path)
    with pytest.raises(Refusal, match="weights of another network than its shape says"):
        read_checkpoint(path)
    torch.save({"format": 2}, path)
    with pytest.raises(Refusal, match="not a checkpoint of format 1 but of format 2"):
        read_checkpoint(path)


def test_a_morph_comes_back_from_a_file_of_its_own(tmp_path: Path) -> None:
    morph = Morph(len(H36M_16))
    write_morph(morph, tmp_path / "morph.pt", {"learned_from": 3})
    found = read_morph(tmp_path / "morph.pt")
    assert all(torch.equal(t, found.state_dict()[n]) for n, t in morph.state_dict().items())
    torch.save({}, tmp_path / "other.pt")
    with pytest.raises(Refusal, match="not a morph of format cvsf-morph-1 but of none"):
        read_morph(tmp_path / "other.pt")
    with pytest.raises(Refusal, match=r"no morph at .*none\.pt"):
        read_morph(tmp_path / "none.pt")

"""From recordings to a checkpoint, an engine and scores; what is refused and what is resumed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cvsf.engine.engine import load_engine
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import FRAMES, SMALL, VIEWS, multiview, run
from train.checkpoint import read_checkpoint
from train.config import TrainConfig
from train.evaluate import evaluate
from train.export.compile import compile_engine
from train.loop.optimise import start
from train.train import train


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL))
    return path


@pytest.mark.parametrize("variant", ["baseline", "s1s2", "supervised"])
def test_a_variant_is_trained_scored_and_saved(tmp_path: Path, small: Path, variant: str) -> None:
    file, out = multiview(tmp_path / "a.npz"), tmp_path / "run"
    words = (file, "--variant", variant, "--not-subjects", "ben", "--seeds", "2")
    facts = run(train, *words, "--config", small, "--out", out, "--json")
    for row in ("one_view", "fused"):
        assert facts[variant][row]["n_mpjpe_mm"]["mean"] > 0
    assert facts["learned_from"] == facts["reported_on"] == FRAMES // 2
    checkpoint = read_checkpoint(Path(facts["checkpoint"]))
    assert checkpoint.variant == variant
    assert checkpoint.sessions == ("a:0",)
    for name in ("config.json", "curves.png", "metrics.json"):
        assert (out / "seed-1" / name).stat().st_size > 0
    with pytest.raises(Refusal, match="--resume"):
        run(train, *words, "--config", small, "--out", out)


@pytest.mark.slow
def test_a_checkpoint_becomes_an_engine_that_can_be_scored(tmp_path: Path) -> None:
    file = multiview(tmp_path / "a.npz")
    checkpoint = start(TrainConfig(**SMALL | {"variant": "baseline"}), H36M_16, 0).checkpoint(
        ("a",)
    )
    manifest = compile_engine(checkpoint, tmp_path / "engine", rounds=1)
    assert load_engine(tmp_path / "engine").id == manifest.id
    assert manifest.sessions == ("a",)
    parent = read_checkpoint(tmp_path / "engine")
    child = start(TrainConfig(**SMALL), H36M_16, 1, parent).checkpoint(("b",), parent)
    assert child.parent == manifest.id
    assert child.sessions == ("a", "b")
    assert torch.equal(child.weights["stem.bias"], checkpoint.weights["stem.bias"])
    with pytest.raises(Refusal, match="parent is a lifter of"):
        start(TrainConfig(), H36M_16, 1, parent)
    facts = run(evaluate, file, "--engine", tmp_path / "engine", "--subjects", "ann", "--json")
    assert facts["frames"] == FRAMES // 2
    assert facts["engine"] == manifest.id


def test_unknown_subjects_unknown_variants_and_files_without_a_person_are_refused(
    tmp_path: Path, small: Path
) -> None:
    file = multiview(tmp_path / "a.npz")
    with pytest.raises(Refusal, match="no instant is of subject 'zoe'"):
        run(train, file, "--subjects", "zoe", "--config", small, "--out", tmp_path / "x")
    with pytest.raises(Refusal, match="variants are baseline"):
        run(train, file, "--variant", "magic", "--out", tmp_path / "x")
    blind = multiview(tmp_path / "b.npz", confidence=np.zeros((FRAMES, VIEWS, len(H36M_16))))
    with pytest.raises(Refusal, match="two views"):
        run(train, blind, "--config", small, "--out", tmp_path / "x")
    with pytest.raises(Refusal, match="not a checkpoint"):
        read_checkpoint(file)

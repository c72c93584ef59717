"""The paper's variants from runs that are there, and which runs are refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL
from train.config import training_config
from train.loop.optimise import start
from train.loop.preflight import CHECKPOINT
from train.reproduce import reproduced


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    return str(tmp_path / "small.json")


def made(runs: Path, config: str) -> None:
    """A finished run of each variant, each with weights of its own."""
    for seed, variant in enumerate(("baseline", "s1", "s1s2")):
        run = start(training_config(config, variant), H36M_16, seed=seed)
        path = runs / variant / "seed-0" / CHECKPOINT
        path.parent.mkdir(parents=True)
        replace(run.checkpoint(("S1",)), scores={"test": {"n_mpjpe_mm": 1.0}}).write(path)


def rows(runs: Path, config: str, *, truth_2d: bool = False) -> dict[str, Any]:
    nowhere = runs / "no dataset is read"
    return reproduced("skipose", nowhere, runs, config, minutes=None, truth_2d=truth_2d)


def test_runs_that_are_there_become_rows_without_being_trained_again(
    tmp_path: Path, config: str
) -> None:
    made(tmp_path / "runs", config)
    found = rows(tmp_path / "runs", config)
    assert list(found) == ["baseline", "s1", "s1s2"]
    random = np.random.default_rng(0)
    seen = random.uniform(0, 500, (2, 3, 16, 2)), np.ones((2, 3, 16)), np.full((2, 3, 2), 640)
    arrays = [array.astype(np.float32) for array in seen]
    lifted = [lift(*arrays)["fused"] for lift, _ in found.values()]
    assert all(one.shape == (2, 16, 3) for one in lifted)
    assert not np.allclose(lifted[0], lifted[1])
    again = found["s1"][1]
    assert again is not None
    np.testing.assert_array_equal(again(*arrays)["fused"], lifted[1])  # no morph to go through


def test_runs_made_of_other_material_are_refused(tmp_path: Path, config: str) -> None:
    made(tmp_path / "runs", config)
    rows(tmp_path / "runs", config)
    with pytest.raises(Refusal, match=r"holds runs made of .*'truth_2d': False.*another folder"):
        rows(tmp_path / "runs", config, truth_2d=True)


def test_runs_made_with_another_configuration_are_refused(tmp_path: Path, config: str) -> None:
    made(tmp_path / "runs", config)
    (tmp_path / "other.json").write_text(json.dumps(SMALL | {"steps": 7}))
    with pytest.raises(Refusal, match=r"\(steps was 6, is 7\)"):
        rows(tmp_path / "runs", str(tmp_path / "other.json"))

"""One run in its folder: its scores, the same run again, and other recordings or another morph."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.model.keypoint_adapter import Morph
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import FRAMES, SMALL, multiview
from train.checkpoint import read_checkpoint
from train.config import TrainConfig
from train.data.memmap_store import open_store, write_store
from train.data.npz import read_file
from train.distributed import ProcessGroup
from train.loop.preflight import CHECKPOINT
from train.loop.run import CONFIG, CURVES, METRICS, Task, _validation_rows, lift_with, train_seed


def task(folder: Path, *, stop: bool = False) -> Task:
    """A run of six steps on two standing subjects."""
    folder.mkdir(exist_ok=True)
    instants = read_file(multiview(folder / "a.npz"))
    write_store([instants], folder / "store")
    told = threading.Event()
    if stop:
        told.set()
    return Task(
        config=TrainConfig(**SMALL | {"variant": "s1"}),
        learned=open_store(folder / "store"),
        kept_back=instants,
        minutes=None,
        parent=None,
        again=False,
        group=ProcessGroup(),
        stop=told,
    )


def test_a_finished_run_leaves_its_configuration_curves_scores_and_checkpoint(
    tmp_path: Path,
) -> None:
    given, out = task(tmp_path), tmp_path / "run"
    scores = train_seed(given, 0, out)
    assert {path.name for path in out.iterdir()} == {CONFIG, CURVES, METRICS, CHECKPOINT}
    assert json.loads((out / METRICS).read_text()) == scores
    assert TrainConfig(**json.loads((out / CONFIG).read_text())) == given.config
    found = read_checkpoint(out / CHECKPOINT)
    assert (found.step, found.sessions) == (SMALL["steps"], ("a:0", "a:1"))
    assert found.scores["fused"] == scores["fused"]
    assert [point["step"] for point in found.curve] == [3, 6]


def test_an_interrupted_run_is_saved_and_resumed_to_its_end(tmp_path: Path) -> None:
    given, out = task(tmp_path, stop=True), tmp_path / "run"
    with pytest.raises(Refusal, match="stopped at step 1 of 6; go on with --resume"):
        train_seed(given, 0, out)
    assert read_checkpoint(out / CHECKPOINT).step == 1
    given.stop.clear()
    assert train_seed(given, 0, out)["steps"] == 6
    whole = train_seed(given, 0, tmp_path / "whole")
    assert whole["steps"] == 6
    ours, theirs = (read_checkpoint(tmp_path / n / CHECKPOINT).weights for n in ("run", "whole"))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_run_of_other_recordings_or_behind_another_morph_is_refused(tmp_path: Path) -> None:
    given, out = task(tmp_path), tmp_path / "run"
    train_seed(given, 0, out)
    with pytest.raises(Refusal, match="was trained with another --morph"):
        train_seed(replace(given, morph=Morph(len(H36M_16))), 0, out)
    other = read_file(multiview(tmp_path / "b.npz"))
    write_store([other], tmp_path / "other")
    with pytest.raises(Refusal, match="learned from other recordings"):
        train_seed(replace(given, learned=open_store(tmp_path / "other")), 0, out)


def test_the_shipped_checkpoint_lifts_in_torch_as_its_engine_does(tmp_path: Path) -> None:
    seen = read_file(multiview(tmp_path / "a.npz"))
    arrays = seen.keypoints_px, seen.confidence, seen.image_px
    ours = lift_with(read_checkpoint(SHIPPED).lifter())(*arrays)
    theirs = load_engine().lift_many(*arrays)
    assert ours["fused"].shape == (FRAMES, len(H36M_16), 3)
    np.testing.assert_allclose(ours["fused"], theirs["fused"], atol=1e-4)


def test_instants_that_are_looked_at_are_evenly_spread_and_in_stretches_for_windows() -> None:
    single = TrainConfig(check_instants=5)
    assert _validation_rows(101, single).tolist() == [0, 25, 50, 75, 100]
    assert _validation_rows(3, single).tolist() == [0, 1, 2]
    rows = _validation_rows(1000, TrainConfig(variant="stage3", frames=5, check_instants=80))
    assert rows.tolist() == [*range(40), *range(960, 1000)]

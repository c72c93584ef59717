"""Pseudo-labels of sessions by their own cameras; sessions that cannot have them are left out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cvsf.diagnosis.calibrate_take import CalibratedTake, calibrate_take
from cvsf.diagnosis.view_faults import MIRRORED_BACK
from cvsf.evaluation.metrics import p_mpjpe
from cvsf.multiview.observations import LiftedObservations
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL, multiview, run
from tests.support.walkers import walkers
from train.batches import pseudo_labels
from train.batches.pseudo_labels import PseudoLabeller
from train.checkpoint import read_checkpoint
from train.config import TrainConfig
from train.data.memmap_store import Store, open_store, write_store
from train.data.npz import read_file
from train.export.compile import compile_engine
from train.loop.optimise import start
from train.train import train


def test_pseudo_labels_are_the_true_bodies_and_hold_no_truth(file: Path, store: Store) -> None:
    truth = read_file(file).truth.joints_mm
    rows = store.rows(np.arange(len(store)))
    assert truth is not None
    assert len(store) == len(truth)
    assert rows.truth.joints_mm is None
    assert rows.pseudo_labels is not None
    assert p_mpjpe(rows.pseudo_labels.joints, truth).mean() < 25
    assert 0 < rows.pseudo_labels.deviation.max() < 0.1
    up = rows.pseudo_labels.up
    assert (up[..., 1] < -0.8).all()  # y points down in a picture


def test_stage_3_trains_without_labels_and_lists_the_sessions_left_out(tmp_path: Path) -> None:
    file = walkers(tmp_path / "w.npz")
    with np.load(file) as whole:
        changed = {name: whole[name] for name in whole.files if name not in ("joints_mm",)}
    changed["confidence"][48:] = 0  # of the second walker three instants are left
    np.savez(tmp_path / "u.npz", allow_pickle=False, **changed)
    facts = _trained(tmp_path / "u.npz", tmp_path)
    assert facts["sessions_placed"] == 1
    assert list(facts["sessions_left_out"]) == ["u:1"]
    assert facts["learned_from"] == 45
    checkpoint = read_checkpoint(Path(facts["checkpoint"]))
    assert checkpoint.variant == "stage3"
    assert checkpoint.sessions == ("u:0",)


def test_a_camera_that_saw_nobody_is_left_out_and_the_others_are_used(
    file: Path, labeller: PseudoLabeller, tmp_path: Path
) -> None:
    instants = read_file(file)
    instants.confidence[:, 1] = 0
    write_store(labeller.parts([instants]), tmp_path / "store")
    rows = open_store(tmp_path / "store").rows(np.arange(90))
    assert rows.pseudo_labels is not None
    assert instants.truth.joints_mm is not None
    assert not rows.pseudo_labels.joints[:, 1].any()
    others = [0, 2, 3]
    assert (
        p_mpjpe(rows.pseudo_labels.joints[:, others], instants.truth.joints_mm[:, others]).mean()
        < 25
    )


def test_a_camera_whose_pictures_are_mirrored_has_no_labels(
    file: Path, labeller: PseudoLabeller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mirrored(seen: LiftedObservations) -> CalibratedTake:
        return replace(calibrate_take(seen), corrected={"cam1": MIRRORED_BACK})

    monkeypatch.setattr(pseudo_labels, "calibrate_take", mirrored)
    instants = read_file(file)
    (labelled,) = labeller.parts([instants])
    assert labeller.left_out == {}
    assert not labelled.confidence[:, 1].any()
    assert labelled.confidence[:, [0, 2, 3]].any((0, 2)).all()


def test_a_session_whose_keypoints_are_all_one_point_is_refused(
    file: Path, labeller: PseudoLabeller
) -> None:
    instants = read_file(file)
    instants.keypoints_px[:] = 500
    with pytest.raises(Refusal, match="no two saw the athlete"):
        list(labeller.parts([instants]))


def test_stage_3_is_refused_where_no_session_can_be_calibrated(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="the cameras of no session could be found"):
        _trained(multiview(tmp_path / "a.npz", image_px=np.zeros(2)), tmp_path)


@pytest.mark.slow
def test_a_lifter_of_windows_starts_as_its_parent_and_is_trained_scored_and_resumed(
    file: Path, tmp_path: Path
) -> None:
    parent = _trained(file, tmp_path)["checkpoint"]
    config = TrainConfig(**SMALL | {"variant": "stage3", "frames": 5})
    still, moving = (
        read_checkpoint(Path(parent)).lifter(),
        start(config, H36M_16, 0, read_checkpoint(Path(parent))).lifter.eval(),
    )
    window = torch.randn(7, 5, len(H36M_16), 2), torch.rand(7, 5, len(H36M_16))
    for ours, theirs in zip(moving(*window), still(window[0][:, 2], window[1][:, 2]), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    out = tmp_path / "windows"
    facts = _trained(file, out, "--parent", parent, "--not-subjects", "ben", frames=5)
    assert facts["stage3"]["one_view"]["n_mpjpe_mm"]["mean"] > 0
    taught = read_checkpoint(Path(facts["checkpoint"])).lifter()
    assert torch.equal(taught.stem.weight, still.stem.weight)
    assert not torch.equal(taught.pose.weight, still.pose.weight)
    again = _trained(file, out, "--parent", parent, "--not-subjects", "ben", "--resume", frames=5)
    assert again["stage3"]["one_view"] == facts["stage3"]["one_view"]
    with pytest.raises(Refusal, match="windows of 5 frames"):
        compile_engine(read_checkpoint(Path(facts["checkpoint"])), tmp_path / "engine")


def test_windows_without_a_lifter_of_single_frames_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="there is no --parent"):
        _trained(file, tmp_path, frames=5)


def _trained(file: Path, folder: Path, *more: str, **changed: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    config = folder / "small.json"
    config.write_text(json.dumps(SMALL | changed))
    words = (file, "--variant", "stage3", "--config", config, "--out", folder / "run", "--json")
    return run(train, *words, *more)

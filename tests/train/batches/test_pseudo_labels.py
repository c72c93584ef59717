"""Learning from what sessions' own cameras tell, without a label; what cannot is left out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cvsf.engine.engine import SHIPPED
from cvsf.evaluation.metrics import p_mpjpe
from cvsf.model.fusion import aim
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL, multiview, run
from tests.support.walkers import walkers
from train.batches.novel_views import from_placed
from train.batches.pseudo_labels import Placer
from train.checkpoint import read_checkpoint
from train.config import TrainConfig, training_config
from train.data.memmap_store import Store, open_store, write_store
from train.data.npz import read_file
from train.data.temporal_windows import around, one_clock
from train.distributed import Company
from train.export.compile import compile_engine
from train.loop.optimise import start
from train.loop.run import lift_with
from train.train import train


def placer() -> Placer:
    return Placer(lift_with(read_checkpoint(SHIPPED).lifter()))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walkers(tmp_path_factory.mktemp("walkers") / "w.npz")


@pytest.fixture(scope="module")
def store(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("placed") / "store"
    write_store(placer().parts([read_file(file)]), folder)
    return open_store(folder)


def test_placed_bodies_are_the_true_ones_and_hold_no_truth(file: Path, store: Store) -> None:
    truth = read_file(file).truth.joints_mm
    rows = store.rows(np.arange(len(store)))
    assert truth is not None
    assert len(store) == len(truth)
    assert rows.joints_mm is None
    assert rows.placed is not None
    assert p_mpjpe(rows.placed.joints, truth).mean() < 25
    assert 0 < rows.placed.deviation.max() < 0.1
    up = rows.placed.camera[..., :3]
    assert (up[..., 1] < -0.8).all()  # y points down in a picture


def test_a_recorded_view_is_shown_as_it_was_recorded(store: Store) -> None:
    config = TrainConfig(**SMALL | {"variant": "stage3", "recorded_share": 1.0})
    sample = from_placed(store, config, torch.Generator().manual_seed(0), Company())()
    rows = store.rows(np.arange(len(store)))
    arrays = (rows.keypoints_px, rows.confidence, rows.image_px)
    recorded = aim(*(torch.from_numpy(array) for array in arrays)).plane.flatten(0, 1)
    for plane in sample.plane[:, 0]:
        assert (recorded - plane).abs().amax((1, 2)).min() < 1e-4


def test_virtual_views_show_the_body_they_are_told_with_a_detectors_errors(store: Store) -> None:
    config = TrainConfig(**SMALL | {"variant": "stage3", "recorded_share": 0.0})
    samples = [
        from_placed(store, config, torch.Generator().manual_seed(5), Company())() for _ in range(2)
    ]
    assert torch.equal(samples[0].plane, samples[1].plane)
    sample = samples[0]
    assert sample.canonical is not None
    assert sample.view_from_canonical is not None
    assert sample.sure is not None
    assert sample.plane.shape == (8 * 4, 1, len(H36M_16), 2)
    assert ((sample.sure > 0) & (sample.sure <= 1)).all()
    shown = (sample.canonical[:, None] @ sample.view_from_canonical.mT)[..., :2]
    shown, seen = (p - p.mean(-2, keepdim=True) for p in (shown, sample.plane))
    shown, seen = (p / p.square().sum((-2, -1), keepdim=True).sqrt() for p in (shown, seen))
    apart = (shown - seen).norm(dim=-1)
    assert 0.001 < apart.median() < 0.03


def test_a_run_needs_no_label_and_says_what_it_left_out(tmp_path: Path) -> None:
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
    file: Path, tmp_path: Path
) -> None:
    instants = read_file(file)
    instants.confidence[:, 1] = 0
    write_store(placer().parts([instants]), tmp_path / "store")
    rows = open_store(tmp_path / "store").rows(np.arange(90))
    assert rows.placed is not None
    assert instants.truth.joints_mm is not None
    assert not rows.placed.joints[:, 1].any()
    others = [0, 2, 3]
    assert p_mpjpe(rows.placed.joints[:, others], instants.truth.joints_mm[:, others]).mean() < 25


def test_people_who_are_one_point_teach_nothing(file: Path) -> None:
    instants = read_file(file)
    instants.keypoints_px[:] = 500
    with pytest.raises(Refusal, match="no two saw the athlete"):
        list(placer().parts([instants]))


def test_where_no_session_can_be_calibrated_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="the cameras of no session could be found"):
        _trained(multiview(tmp_path / "a.npz", image_px=np.zeros(2)), tmp_path)


def test_a_window_is_the_instants_nearest_in_time_and_of_the_same_take() -> None:
    session = ("a",) * 30 + ("b",) * 10
    t_s = np.concatenate([np.arange(30) / 30, np.arange(10) / 30])
    t_s[20:30] += 1  # nobody was seen for a second
    clock = one_clock(session, t_s)
    assert (np.diff(clock) > 0).all()
    rows, there = around(clock, np.array([10, 0, 19, 30, 39]), 5)
    assert rows[0].tolist() == [6, 8, 10, 12, 14]
    assert there[0].all()
    assert there[1:].tolist() == [
        [False, False, True, True, True],
        [True, True, True, False, False],
        [False, False, True, True, True],
        [True, True, True, False, False],
    ]


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


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"frames": 4}, "odd number"),
        ({"variant": "baseline"}, "windows are"),
        ({"roll_deg": 5.0}, "films bodies again"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(SMALL | {"frames": 5} | changed))
    with pytest.raises(Refusal, match=said):
        training_config(str(path), changed.get("variant", "stage3"))


def _trained(file: Path, folder: Path, *more: str, **changed: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    config = folder / "small.json"
    config.write_text(json.dumps(SMALL | changed))
    words = (file, "--variant", "stage3", "--config", config, "--out", folder / "run", "--json")
    return run(train, *words, *more)

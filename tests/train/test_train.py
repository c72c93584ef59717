"""From recordings to a checkpoint, an engine and scores; what is refused and what is resumed."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cvsf.engine.engine import load_engine
from cvsf.skeleton import COCO_17, H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import FRAMES, SMALL, VIEWS, multiview, run
from train.batches.batch import from_store
from train.batches.probe_inputs import STANDING
from train.batches.virtual_views import VirtualViews
from train.checkpoint import read_checkpoint
from train.config import TrainConfig
from train.data.memmap_store import open_store, write_store
from train.data.npz import read_file
from train.data.read import read_instants
from train.distributed import Company
from train.evaluate import evaluate
from train.export.compile import compile_engine
from train.loop.depth_reflection import depth_sign
from train.loop.optimise import descend, resume, start
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


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    write_store([read_file(multiview(tmp_path / "a.npz"))], tmp_path / "store")
    store = open_store(tmp_path / "store")
    config = TrainConfig(**SMALL | {"variant": "s1s2", "plateau_window_steps": 2})

    def finish(run: Any, until: int) -> Any:
        draw = from_store(store, config, run.generators["batches"], Company())
        with contextlib.suppress(InterruptedError):
            descend(run, draw, told=lambda _: _stop_at(run, until))
        return run

    whole = finish(start(config, H36M_16, 3), 99)
    half = finish(start(config, H36M_16, 3), 3)
    half.at_rest(("a",)).write(tmp_path / "half.pt")
    rest = finish(resume(config, H36M_16, read_checkpoint(tmp_path / "half.pt")), 99)
    assert rest.step == whole.step == SMALL["steps"]
    assert rest.stage == whole.stage == 2
    for name, tensor in whole.lifter.state_dict().items():
        assert torch.equal(tensor, rest.lifter.state_dict()[name])


@pytest.mark.parametrize("changed", [{"precision": "bfloat16"}, {"rotation": "axis-angle"}])
def test_other_networks_and_precisions_learn_too(tmp_path: Path, changed: dict[str, Any]) -> None:
    write_store([read_file(multiview(tmp_path / "a.npz"))], tmp_path / "store")
    plain = {"sides_alike": False} if "rotation" in changed else {}
    config = TrainConfig(**SMALL | changed | plain | {"variant": "s1s2", "refine_every": 1})
    run = start(config, H36M_16, 3)
    losses: list[float] = []
    store = open_store(tmp_path / "store")
    draw = from_store(store, config, run.generators["batches"], Company())
    assert descend(run, draw, told=losses.append)
    assert np.isfinite(losses).all()


def _stop_at(run: Any, step: int) -> None:
    if run.step >= step:
        raise InterruptedError


def test_a_checkpoint_becomes_an_engine_that_can_be_scored(tmp_path: Path) -> None:
    file = multiview(tmp_path / "a.npz")
    checkpoint = start(TrainConfig(**SMALL | {"variant": "baseline"}), H36M_16, 0).at_rest(("a",))
    manifest = compile_engine(checkpoint, tmp_path / "engine", rounds=1)
    assert load_engine(tmp_path / "engine").id == manifest.id
    assert manifest.sessions == ("a",)
    parent = read_checkpoint(tmp_path / "engine")
    child = start(TrainConfig(**SMALL), H36M_16, 1, parent).at_rest(("b",), parent)
    assert child.parent == manifest.id
    assert child.sessions == ("a", "b")
    assert torch.equal(child.weights["stem.bias"], checkpoint.weights["stem.bias"])
    with pytest.raises(Refusal, match="parent is a lifter of"):
        start(TrainConfig(), H36M_16, 1, parent)
    facts = run(evaluate, file, "--engine", tmp_path / "engine", "--subjects", "ann", "--json")
    assert facts["frames"] == FRAMES // 2
    assert facts["engine"] == manifest.id


def test_the_shipped_engine_lifts_a_body_it_never_saw(tmp_path: Path) -> None:
    facts = run(evaluate, multiview(tmp_path / "a.npz"), "--json")
    assert facts["fused"]["p_mpjpe_mm"] < facts["one_view"]["p_mpjpe_mm"]
    assert facts["fused"]["n_mpjpe_mm"] < 60
    assert {"bad_before", "bad_after", "good_before", "good_after"} == set(facts["refined_2d"])
    assert set(facts["jdr"]) == set(H36M_16.joints)


def test_joints_in_any_order_or_fewer_are_read_and_absent_ones_are_not_scored(
    tmp_path: Path,
) -> None:
    whole = read_file(multiview(tmp_path / "a.npz"))
    limbs = tuple(reversed([j for j in H36M_16.joints if j in COCO_17.joints]))
    fewer = read_file(multiview(tmp_path / "b.npz", limbs))
    head, knee = H36M_16.index("head"), H36M_16.index("lknee")
    assert (fewer.confidence[:, :, head] == 0).all()
    assert fewer.truth.joints_mm is not None
    assert np.isnan(fewer.truth.joints_mm[:, :, head]).all()
    np.testing.assert_allclose(fewer.keypoints_px[:, :, knee], whole.keypoints_px[:, :, knee])
    facts = run(evaluate, tmp_path / "b.npz", "--json")
    assert 0 < facts["fused"]["n_mpjpe_mm"] < 90


def test_files_of_different_cameras_are_learned_from_together(tmp_path: Path) -> None:
    first = multiview(tmp_path / "a.npz")
    with np.load(first) as file:
        fewer = {name: file[name] for name in file.files}
    for name in ("keypoints_px", "confidence", "truth_px", "joints_mm", "head_px"):
        fewer[name] = fewer[name][:, :2]
    np.savez(tmp_path / "b.npz", allow_pickle=False, **fewer)
    both = read_instants([first, tmp_path / "b.npz"])
    assert both.confidence.shape == (2 * FRAMES, VIEWS, len(H36M_16))
    assert (both.confidence[FRAMES:, 2] == 0).all()
    assert both.sessions == ("a:0", "a:1", "b:0", "b:1")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"joint_names": np.array(["tail", *H36M_16.joints[1:]])}, "tail"),
        ({"image_px": np.array([1, 2, 3])}, "image_px"),
        ({"confidence": np.ones((2, 2))}, "expected"),
        ({"t_s": np.zeros(3)}, "t_s"),
    ],
)
def test_a_malformed_file_is_refused_by_name(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        read_file(multiview(tmp_path / "a.npz", **changed))


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path, small: Path) -> None:
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


def test_a_mirrored_body_is_told_by_its_knees_and_elbows() -> None:
    body = torch.tensor(np.array([STANDING[j] for j in H36M_16.joints]))[None, None]
    assert depth_sign(body, H36M_16) > 0
    assert depth_sign(body * torch.tensor([-1.0, 1.0, 1.0]), H36M_16) < 0


def test_virtual_views_are_plausible_and_repeatable() -> None:
    joints = torch.tensor(np.array([STANDING[j] for j in H36M_16.joints]) * 1000)[None]
    drawn = [
        VirtualViews(joints, H36M_16, torch.Generator().manual_seed(1)).draw(50, 4)
        for _ in range(2)
    ]
    assert torch.equal(drawn[0].pose2d, drawn[1].pose2d)
    one = drawn[0]
    assert one.pose2d.shape == (50, 4, len(H36M_16), 2)
    assert one.confidence.min() >= 0
    assert one.confidence.max() <= 1
    shown = (one.canonical[:, None] @ one.view_from_canonical.mT)[..., :2]
    shown = shown / shown.norm(dim=(-2, -1), keepdim=True)
    truth = one.truth2d - one.truth2d[..., :1, :]
    truth = truth / truth.norm(dim=(-2, -1), keepdim=True)
    assert (shown - truth).norm(dim=-1).mean() < 0.03

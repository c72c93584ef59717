"""What a detector always does is learned and undone; what it does by accident, or not at all, is
left alone.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from cvsf.engine.engine import SHIPPED, Engine, load_engine
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.messages import MAX_VIEWS
from cvsf.model.fusion import FusedLifter, centre_views
from cvsf.model.keypoint_adapter import FILLED, Morph, morph_from_plain
from cvsf.model.lifter import Lifter, LifterShape
from cvsf.skeleton import COCO_17, H36M_16, remap
from cvsf.system.errors import Refusal
from tests.support.recordings import run
from train.batches.batch import batch_of, from_store, mirrored
from train.batches.probe_inputs import STANDING
from train.checkpoint import WEIGHTS, Checkpoint, read_checkpoint, read_morph, write_morph
from train.config import TrainConfig
from train.data.instants import Recordings
from train.data.memmap_store import open_store, write_store
from train.distributed import ProcessGroup
from train.evaluate import lift_again
from train.evaluation.score_lifter import score
from train.export.compile import OPSET
from train.loop.optimise import start
from train.loop.run import lift_with
from train.train import train
from train.train_keypoint_adapter import (
    Poses,
    known_poses,
    learn_morph,
    morph_loss,
    report,
    train_morph,
)

J = len(H36M_16)
HEAD, WRIST, HIP = (H36M_16.index(joint) for joint in ("head", "lwrist", "hip"))
VIEWS = 3
SMALL: dict[str, Any] = {
    **{"width": 16, "blocks": 1, "threads": 1, "steps": 4, "batch_instants": 8},
    **{"check_instants": 4, "checks": 1, "agreement_rounds": 1},
}


def seen_by_coco(frames: int = 400, noise_px: float = 1.0) -> Recordings:
    """People who turn and move their arms and legs, seen by a detector of COCO's joints that puts
    each of them to the same side of where it is.
    """
    random = np.random.default_rng(3)
    body = np.array([STANDING[joint] for joint in H36M_16.joints])
    world = body + random.normal(0, 0.06, (frames, J, 3))
    turn = random.uniform(0, 2 * np.pi, (frames, VIEWS))
    c, s, o = np.cos(turn), np.sin(turn), np.zeros_like(turn)
    axes = np.stack([c, s, o, o, o, o - 1, -s, c, o], -1).reshape(frames, VIEWS, 3, 3)
    local = np.einsum("fvrc,fjc->fvjr", axes, world) + np.array([0, 0, 7])
    truth = (1400 * local[..., :2] / local[..., 2:] + [960, 540]).astype(np.float32)
    found = truth + random.normal(0, 9, (J, 2)) + random.normal(0, noise_px, truth.shape)
    kept = [i for i, joint in enumerate(H36M_16.joints) if joint in COCO_17.joints]
    names = [H36M_16.joints[i] for i in kept]
    sure = random.uniform(0.6, 1, truth.shape[:-1])
    keypoints, confidence = remap(found[:, :, kept], sure[:, :, kept], names, H36M_16.joints)
    return Recordings(
        joint_set=H36M_16,
        cameras=tuple(f"cam{view}" for view in range(VIEWS)),
        keypoints_px=keypoints,
        confidence=confidence,
        image_px=np.full((frames, VIEWS, 2), [1920, 1080], np.float32),
        session=("a:0",) * frames,
        subject=("ann",) * (frames * 3 // 4) + ("ben",) * (frames - frames * 3 // 4),
        t_s=np.arange(frames) / 30,
        truth=GroundTruth(keypoints_px=truth, joints_mm=(1000 * local).astype(np.float32)),
    )


def written(instants: Recordings, path: Path, *, truth: bool = True) -> Path:
    """The same as a multi-view file."""
    names = list(dict.fromkeys(instants.subject))
    arrays: dict[str, Any] = {
        "keypoints_px": instants.keypoints_px,
        "confidence": instants.confidence,
        "joint_names": np.array(H36M_16.joints),
        "image_px": np.array([1920, 1080]),
        "session": np.zeros(len(instants), np.int32),
        "subject": np.array([names.index(s) for s in instants.subject]),
        "subject_names": np.array(names),
        "t_s": instants.t_s,
        "joints_mm": instants.truth.joints_mm,
    }
    if truth:
        arrays["truth_px"] = instants.truth.keypoints_px
    np.savez(path, allow_pickle=False, **arrays)
    return path


def restless(seed: int = 0) -> Morph:
    """A morph that moves every joint and places the head."""
    torch.manual_seed(seed)
    morph = Morph(J, width=24, layers=1)
    nn.init.normal_(morph.offset.weight, std=0.1)
    morph.fills[HEAD] = True
    return morph.eval()


@pytest.fixture(scope="module")
def found() -> Recordings:
    return seen_by_coco()


@pytest.fixture(scope="module")
def poses(found: Recordings) -> Poses:
    return known_poses(found)


def test_an_untrained_morph_changes_no_keypoints(poses: Poses) -> None:
    moved, sure = Morph(J)(poses.keypoints_px, poses.confidence)
    assert torch.equal(moved, poses.keypoints_px)
    assert torch.equal(sure, poses.confidence)


def test_a_morph_learns_the_bias_of_a_detector_and_places_the_missing_head(poses: Poses) -> None:
    half = len(poses.confidence) // 2
    first, second = (poses.rows(torch.arange(half) + at) for at in (0, half))
    morph = learn_morph(first, 1, steps=400)
    facts = report(morph, second)
    assert facts["fills"] == ["head"]
    error = facts["error_2d"]
    assert error["after"] < 0.4 * error["before"]
    assert error["placed"] < 0.08


def test_the_same_seed_gives_the_same_morph(poses: Poses) -> None:
    one, two, other = (learn_morph(poses, seed, steps=10) for seed in (1, 1, 2))
    assert same(one, two)
    assert not same(one, other)


def test_a_morph_does_not_learn_outliers_of_one_view_in_four(poses: Poses) -> None:
    index = torch.arange(0, len(poses.confidence), 4)
    thrown = poses.keypoints_px.clone()
    thrown[index, WRIST] += 150  # in one view of four, and the detector is not sure of it
    confidence = poses.confidence.clone()
    confidence[index, WRIST] *= 0.5
    worse = poses._replace(keypoints_px=thrown, confidence=confidence)
    morph = learn_morph(worse, 1, steps=200)
    moved, _ = morph(worse.keypoints_px, worse.confidence)
    good = torch.ones(len(confidence), dtype=torch.bool)
    good[index] = False
    off = (moved - worse.truth_px)[:, WRIST].norm(dim=-1)
    assert off[good].median() < 8


def test_the_loss_of_a_morph_is_l1_weighted_by_confidence_over_known_joints(poses: Poses) -> None:
    some = poses.rows(torch.arange(7))
    known = some.known.clone()
    known[:, WRIST] = False
    some = some._replace(known=known)
    total = weight = 0.0
    for pixels, sure, truth, there in zip(*(part.double().numpy() for part in some), strict=True):
        inside = truth[there > 0]
        radius = np.sqrt(np.square(inside - inside.mean(0)).sum() / len(inside))
        for j in range(J):
            total += sure[j] * there[j] * np.abs(pixels[j] - truth[j]).sum() / radius
            weight += sure[j] * there[j]
    assert morph_loss(Morph(J), some).item() == pytest.approx(total / weight, rel=1e-5)


def test_an_undetected_joint_stays_undetected_unless_the_detector_never_gives_it(
    poses: Poses,
) -> None:
    pixels, confidence = poses.keypoints_px[:6].clone(), poses.confidence[:6].clone()
    confidence[0] = 0  # a view without the person
    confidence[1, WRIST] = 0
    pixels[1, WRIST] = torch.nan
    confidence[2, HEAD] = 0.9  # a head that does not come from where the morph was learned
    moved, sure = restless()(pixels, confidence)
    assert (sure[0] == 0).all()
    assert torch.equal(moved[0], pixels[0])
    assert sure[1, WRIST] == 0
    assert moved[1, WRIST].isnan().all()
    given = [j for j in range(J) if j != HEAD]
    assert torch.equal(sure[1:, given], confidence[1:, given])
    torch.testing.assert_close(sure[1:, HEAD], FILLED * confidence[1:, given].mean(-1))
    pixels[2, HEAD] += 500
    assert torch.equal(restless()(pixels, confidence)[0][2, HEAD], moved[2, HEAD])
    assert moved[2:].isfinite().all()


def test_a_joint_without_a_truth_is_left_where_it_was(poses: Poses) -> None:
    known = poses.known.clone()
    known[:, WRIST] = False
    morph = learn_morph(poses._replace(known=known), 0, steps=20)
    moved, sure = morph(poses.keypoints_px, poses.confidence)
    assert torch.equal(moved[:, WRIST], poses.keypoints_px[:, WRIST])
    assert torch.equal(sure[:, WRIST], poses.confidence[:, WRIST])
    assert not torch.equal(moved[:, HIP], poses.keypoints_px[:, HIP])


def test_instants_are_morphed_before_they_are_mirrored(found: Recordings, tmp_path: Path) -> None:
    write_store([found], tmp_path / "store")
    store = open_store(tmp_path / "store")
    config = TrainConfig(**SMALL | {"variant": "baseline", "mirror_share": 1.0})
    morph = restless()
    drawn = from_store(store, config, torch.Generator().manual_seed(5), ProcessGroup(), morph)()
    rows = torch.randint(len(store), (8,), generator=torch.Generator().manual_seed(5)).numpy()
    plain = store.rows(rows)
    pixels, confidence = morph(
        torch.from_numpy(plain.keypoints_px), torch.from_numpy(plain.confidence)
    )
    taken = replace(
        plain, keypoints_px=pixels.detach().numpy(), confidence=confidence.detach().numpy()
    )
    whole = mirrored(batch_of(taken, labelled=False), torch.ones(8, dtype=torch.bool))
    torch.testing.assert_close(drawn.plane, whole.plane)
    torch.testing.assert_close(drawn.confidence, whole.confidence)
    assert (drawn.confidence[..., HEAD] > 0).all()


def test_the_fused_lifter_morphs_its_keypoints_and_not_its_refined_2d(
    found: Recordings,
) -> None:
    torch.manual_seed(1)
    lifter = Lifter(LifterShape(joints=J, width=16, blocks=1))
    morph = restless()
    some = found.take(np.arange(6))
    inputs = [torch.from_numpy(a) for a in (some.keypoints_px, some.confidence)]
    image = torch.from_numpy(some.image_px)
    with torch.no_grad():
        whole = FusedLifter(lifter, H36M_16, 1, morph)(*inputs, image)
        apart = FusedLifter(lifter, H36M_16, 1)(*morph(*inputs), image)
    for name, tensor in whole._asdict().items():
        torch.testing.assert_close(tensor, getattr(apart, name), msg=name)
    behind, again = lift_with(lifter, morph), lift_with(lifter)
    once, twice = score(behind, some, again), score(behind, some)
    assert once["one_view"] == twice["one_view"]
    assert once["one_view_refined"] != twice["one_view_refined"]
    assert once["refined_2d"] == twice["refined_2d"]


class _Shown(nn.Module):
    """The compiled graph up to what its lifter says."""

    def __init__(self, whole: FusedLifter) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, keypoints_px: Tensor, confidence: Tensor, image_px: Tensor) -> Any:
        assert self.whole.morph is not None
        pixels, sure = self.whole.morph(keypoints_px, confidence)
        canonical, rotation = self.whole.lift(centre_views(pixels, sure, image_px).plane, sure)
        return pixels, sure, canonical, rotation


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter about itself
def test_the_exported_morph_gives_the_outputs_of_torch(found: Recordings) -> None:
    torch.manual_seed(1)
    lifter = Lifter(LifterShape(joints=J, width=16, blocks=1)).eval()
    graph = _Shown(FusedLifter(lifter, H36M_16, 1, restless())).eval()

    def some(rows: int, views: int) -> dict[str, Tensor]:
        names = ("keypoints_px", "confidence", "image_px")
        taken = {n: torch.from_numpy(getattr(found, n)[:rows, :views].copy()) for n in names}
        taken["confidence"][0, 0] = 0
        return taken

    batch = torch.export.Dim("batch", min=1, max=4096)
    views = torch.export.Dim("views", min=1, max=MAX_VIEWS)
    program = torch.onnx.export(
        graph,
        kwargs=some(2, 2),
        dynamic_shapes={name: {0: batch, 1: views} for name in some(1, 1)},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    file = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for sample in (some(1, 1), some(5, 3)):
        outputs = session.run(None, {name: tensor.numpy() for name, tensor in sample.items()})
        with torch.no_grad():
            expected = graph(**sample)
        for ours, torchs in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(ours, torchs.numpy(), rtol=1e-4, atol=1e-4)


def test_a_lifter_trained_with_a_morph_is_saved_and_resumed_with_it(tmp_path: Path) -> None:
    file = written(seen_by_coco(48), tmp_path / "a.npz")
    config = tmp_path / "small.json"
    config.write_text(json.dumps(SMALL))
    path = tmp_path / "morph.pt"
    words = (file, "--not-subjects", "ben")
    facts = run(train_morph, *words, "--minutes", "0.001", "--out", path, "--json")
    assert facts["fills"] == ["head"]
    assert (facts["learned_from"], facts["reported_on"]) == (36 * VIEWS, 12 * VIEWS)
    morph = read_morph(path)
    out = tmp_path / "run"
    plain = (*words, "--variant", "s1s2", "--config", config, "--json")
    trained = run(train, *plain, "--out", out, "--morph", path)
    checkpoint = read_checkpoint(Path(trained["checkpoint"]))
    assert same(checkpoint.morphing(), morph)
    with pytest.raises(Refusal, match="another --morph"):
        run(train, *plain, "--out", out, "--resume")
    assert run(train, *plain, "--out", out, "--resume", "--morph", path)["s1s2"]
    child = ("--parent", trained["checkpoint"], "--out", tmp_path / "child")
    assert same(read_checkpoint(Path(run(train, *plain, *child)["checkpoint"])).morphing(), morph)


def same(a: Morph | None, b: Morph) -> bool:
    return a is not None and all(
        torch.equal(t, b.state_dict()[n]) for n, t in a.state_dict().items()
    )


def plain_checkpoint() -> Checkpoint:
    return start(TrainConfig(**SMALL), H36M_16, 0).checkpoint(("a",))


def test_an_old_checkpoint_without_a_morph_is_read_without_one(tmp_path: Path) -> None:
    plain_checkpoint().write(tmp_path / "new.pt")
    old = torch.load(tmp_path / "new.pt", weights_only=True)
    del old["morph"]
    torch.save(old, tmp_path / "old.pt")
    assert read_checkpoint(tmp_path / "old.pt").morphing() is None


def test_refined_2d_of_an_engine_with_a_morph_is_lifted_without_it(tmp_path: Path) -> None:
    shipped = load_engine()
    assert lift_again(shipped, SHIPPED) is None
    replace(plain_checkpoint(), morph=restless().to_plain()).write(tmp_path / WEIGHTS)
    engine = Engine(SHIPPED, shipped.manifest.model_copy(update={"morph": True}), 1)
    lift = lift_again(engine, tmp_path)
    assert lift is not None
    keypoints = np.random.default_rng(0).normal(500, 100, (1, 1, J, 2)).astype(np.float32)
    shown = np.ones((1, 1, J), np.float32)
    assert (lift(keypoints, shown, np.zeros((1, 1, 2), np.float32))["fused_confidence"] > 0).all()


def test_a_file_that_holds_no_morph_is_refused_with_the_reason(
    tmp_path: Path, found: Recordings
) -> None:
    with pytest.raises(Refusal, match="no morph at"):
        read_morph(tmp_path / "none.pt")
    text = tmp_path / "text.pt"
    text.write_text("not a morph")
    with pytest.raises(Refusal, match="not a morph of `cvsf train-morph`"):
        read_morph(text)
    plain_checkpoint().write(tmp_path / "lifter.pt")
    with pytest.raises(Refusal, match="not a morph of format"):
        read_morph(tmp_path / "lifter.pt")
    write_morph(restless(), tmp_path / "good.pt", {})
    good = torch.load(tmp_path / "good.pt", weights_only=True)
    assert same(morph_from_plain(good), read_morph(tmp_path / "good.pt"))
    for changed, said in (
        ({"joint_set": "coco-17"}, "joint set coco-17"),
        ({"shape": good["shape"] | {"width": 25}}, "damaged"),
        ({"weights": {}}, "damaged"),
    ):
        torch.save(good | changed, tmp_path / "bad.pt")
        with pytest.raises(Refusal, match=said):
            read_morph(tmp_path / "bad.pt")
    unlabelled = written(found.take(np.arange(20)), tmp_path / "b.npz", truth=False)
    with pytest.raises(Refusal, match="truth_px"):
        run(train_morph, unlabelled, "--out", tmp_path / "x.pt")
    assert not (tmp_path / "x.pt").exists()

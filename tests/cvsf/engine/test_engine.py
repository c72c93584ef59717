"""The lifter inside the package: what it says, how fast, and what it refuses to be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.engine.manifest import LIFTER, MANIFEST, read_golden, read_manifest, sha256_of
from cvsf.evaluation.metrics import p_mpjpe
from cvsf.messages import MultiviewPose
from cvsf.skeleton import COCO_17, H36M_16, JointSet, remap
from cvsf.system.errors import Refusal
from tests.support.engines import tiny

ENGINE = load_engine()
IMAGE = np.array([1920, 1080], np.float32)


def pose_of(keypoints: np.ndarray, confidence: np.ndarray, joints: JointSet) -> MultiviewPose:
    return MultiviewPose(
        t_ns=0,
        instant=0,
        cameras=tuple(f"cam{v}" for v in range(len(keypoints))),
        image_px=np.tile(IMAGE, (len(keypoints), 1)),
        keypoints_px=keypoints.astype(np.float32),
        confidence=confidence.astype(np.float32),
        joint_set=joints.name,
    )


@pytest.fixture
def seen() -> MultiviewPose:
    golden = read_golden(SHIPPED, ENGINE.manifest)
    assert golden is not None
    return pose_of(golden["keypoints_px"][0], golden["confidence"][0], H36M_16)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED, tmp_path / "engine")
    return tmp_path / "engine"


def test_the_shipped_engine_gives_its_golden_outputs() -> None:
    golden = read_golden(SHIPPED, ENGINE.manifest)
    assert golden is not None
    found = ENGINE.lift_many(*(golden[card.name] for card in ENGINE.manifest.inputs))
    for name, array in found.items():
        size = np.abs(golden[name]).max()
        np.testing.assert_allclose(array / size, golden[name] / size, atol=1e-4)


def test_the_shipped_engine_is_below_10_mb_and_credits_its_data() -> None:
    assert (SHIPPED / LIFTER).stat().st_size < 10 << 20
    assert "CMU" in ENGINE.manifest.credit
    assert ENGINE.manifest.joint_set == H36M_16.name


@pytest.mark.parametrize("views", [1, 2, 3, 5, 16])
def test_any_number_of_views_is_lifted(seen: MultiviewPose, views: int) -> None:
    rows = np.arange(views) % len(seen.keypoints_px)
    lifted = ENGINE.lift(pose_of(seen.keypoints_px[rows], seen.confidence[rows], H36M_16))
    assert lifted.canonical.shape == (views, len(H36M_16), 3)
    assert lifted.refined_px.shape == (views, len(H36M_16), 2)
    assert lifted.fused.shape == (len(H36M_16), 3)
    product = lifted.view_from_canonical @ np.swapaxes(lifted.view_from_canonical, -1, -2)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-4)


def test_more_views_than_the_engine_takes_are_refused_with_their_number(
    seen: MultiviewPose,
) -> None:
    rows = np.zeros(17, int)
    with pytest.raises(ValueError, match="views is 17"):
        ENGINE.lift(pose_of(seen.keypoints_px[rows], seen.confidence[rows], H36M_16))


def test_canonical_and_fused_are_in_the_body_frame(seen: MultiviewPose) -> None:
    lifted = ENGINE.lift(seen)
    for joints in (*lifted.canonical, lifted.fused):
        at = dict(zip(H36M_16.joints, joints, strict=True))
        np.testing.assert_allclose(at["hip"], 0, atol=1e-6)
        np.testing.assert_allclose(at["thorax"][:2], 0, atol=1e-4)
        assert at["thorax"][2] > 0
        assert at["lshoulder"][1] > at["rshoulder"][1]


def test_a_view_without_confidence_does_not_change_the_fused_pose(seen: MultiviewPose) -> None:
    confidence = seen.confidence.copy()
    confidence[1] = 0
    keypoints = seen.keypoints_px.copy()
    keypoints[1] = 9e5
    lost = ENGINE.lift(pose_of(keypoints, confidence, H36M_16))
    rows = [v for v in range(len(keypoints)) if v != 1]
    fewer = ENGINE.lift(pose_of(seen.keypoints_px[rows], confidence[rows], H36M_16))
    np.testing.assert_allclose(lost.fused, fewer.fused, atol=1e-3)
    assert np.isfinite(lost.canonical).all()
    np.testing.assert_array_equal(lost.refined_px[1], keypoints[1])


def test_an_instant_without_a_person_gives_zeros_without_confidence(seen: MultiviewPose) -> None:
    lifted = ENGINE.lift(pose_of(seen.keypoints_px, np.zeros_like(seen.confidence), H36M_16))
    assert np.isfinite(lifted.canonical).all()
    assert not lifted.fused.any()
    assert not lifted.fused_confidence.any()


def test_a_filmed_person_is_lifted_with_an_error_below_40_mm(shared_data: Path) -> None:
    with np.load(shared_data / "pose2sim_balance" / "movenet_2d_and_triangulated.npz") as file:
        keypoints, truth = file["kp2d"], file["tri3d_mm"]
    truth, _ = remap(truth, np.ones(truth.shape[:2]), COCO_17.joints, H36M_16.joints)
    limbs = [H36M_16.index(s + j) for s in "lr" for j in ("hip", "knee", "ankle", "elbow", "wrist")]
    errors = []
    for row in range(0, 70, 10):
        pose = pose_of(keypoints[row, ..., :2], keypoints[row, ..., 2], COCO_17)
        errors.append(p_mpjpe(ENGINE.lift(pose).fused[limbs], truth[row, limbs]))
    assert np.mean(errors) < 40


def test_a_damaged_engine_is_refused_by_its_sha256(copied: Path) -> None:
    with (copied / LIFTER).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(Refusal, match="sha256"):
        load_engine(copied)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda card: card | {"joint_set": "ours-99"}, "joint set 'ours-99'"),
        (lambda card: card | {"sha256": "short"}, "sha256"),
        (lambda card: card | {"surprise": 1}, "surprise"),
        (lambda card: card | {"inputs": card["inputs"][:2]}, "tensors"),
    ],
)
def test_a_wrong_manifest_is_refused_with_what_is_wrong(
    copied: Path, change: Callable[[dict[str, object]], dict[str, object]], said: str
) -> None:
    path = copied / MANIFEST
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(Refusal, match=said):
        load_engine(copied)


def test_a_graph_of_one_number_of_views_is_refused(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "fixed", "fixed")
    model = onnx.load(str(folder / LIFTER))
    for tensor in model.graph.input:
        tensor.type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(model, str(folder / LIFTER))
    changes = {"sha256": sha256_of(folder / LIFTER)}
    read_manifest(folder).model_copy(update=changes).write(folder)
    with pytest.raises(Refusal, match="any number of instants"):
        load_engine(folder)

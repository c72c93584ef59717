"""How well 2D networks find joints: figures by hand, and a picture through networks of spots."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from cvsf.skeleton import H36M_16
from tests.support.graphs import MADE
from train.detector.pictures import Shot
from train.detector.score import _figures, find_box, find_joints, score

JOINTS = len(H36M_16)
SPOTS = np.array([[250.5, 120.5], [310.5, 230.5], [370.5, 340.5]])  # red, green, blue
KNEES = [H36M_16.index("lknee"), H36M_16.index("rknee")]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two networks of a bundle; they see nothing but spots."""
    folder = tmp_path_factory.mktemp("networks")
    manifest = {"colour": "RGB", "std": [255.0], "input": "image"}
    MADE["centre-map"](folder / "detector.onnx", dict(manifest), JOINTS)
    MADE["heatmap"](folder / "pose.onnx", dict(manifest), JOINTS)
    return folder


def picture(size: tuple[int, int] = (640, 480)) -> npt.NDArray[np.uint8]:
    """Spots of red, green and blue on black, RGB."""
    shown = np.zeros((size[1], size[0], 3), np.uint8)
    for channel, (x, y) in enumerate(SPOTS):
        plane = np.zeros(shown.shape[:2], np.uint8)
        cv2.circle(plane, (int(x), int(y)), 16, 255, -1)
        shown[..., channel] = cv2.GaussianBlur(plane, (0, 0), 8)
    return shown


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_a_box_is_found_in_pixels_of_the_whole_picture(networks: Path) -> None:
    found = find_box(session(networks / "detector.onnx"), picture())
    wanted = [310.5, 230.5, 120, 220]
    np.testing.assert_allclose(found, wanted, atol=12)  # a pixel of the input is 4


def test_joints_are_found_in_pixels_of_the_crops(networks: Path) -> None:
    crop = cv2.resize(picture()[100:356, 180:436], (128, 128), interpolation=cv2.INTER_AREA)
    joints, confidence = find_joints(
        session(networks / "pose.onnx"), np.asarray(crop[None], np.uint8)
    )
    wanted = (SPOTS - [180, 100]) / 2
    assert joints.shape == (1, JOINTS, 2)
    np.testing.assert_allclose(joints[0, :3], wanted, atol=1.0)
    assert confidence.min() > 0.5


def test_networks_that_find_every_spot_have_a_pck_of_1(networks: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR))
    truth = SPOTS[np.arange(JOINTS) % 3].astype(np.float32)
    shot = Shot(path=path, joints_px=truth, visible=np.ones(JOINTS, bool))
    figures = score(networks, [shot])
    assert figures["pictures"] == 1
    assert figures["box_found_share"] == 1
    assert figures["pck_0_05"] == figures["visible_pck_0_05"] == 1
    assert figures["median_px"] < 4
    assert figures["pose_ms"] > 0


def body() -> npt.NDArray[np.float32]:
    """One body (1, J, 2) whose box is 100 wide and high; its knees are 20 apart."""
    joints = np.random.default_rng(0).uniform(20, 80, (1, JOINTS, 2))
    joints[0, 0], joints[0, 9] = (0, 0), (100, 100)
    joints[0, KNEES] = [[40, 50], [60, 50]]
    for limb in ("ankle", "elbow", "wrist"):  # too near to each other to be told apart
        joints[0, H36M_16.index(f"l{limb}")] = joints[0, H36M_16.index(f"r{limb}")] + 3
    return joints.astype(np.float32)


def test_a_joint_counts_within_a_share_of_the_box() -> None:
    truth, visible = body(), np.ones((1, JOINTS), bool)
    found = truth.copy()
    found[0, 1, 0] += 4.9
    found[0, 2, 0] += 9.9
    found[0, 3, 0] += 10.1
    visible[0, 3] = False
    confidence = np.ones((1, JOINTS), np.float32)
    confidence[0, 2] = 0.4
    figures = _figures(found, confidence, truth, visible)
    assert figures["pck_0_05"] == pytest.approx(14 / 16)
    assert figures["pck_0_1"] == pytest.approx(15 / 16)
    assert figures["visible_pck_0_1"] == 1
    assert figures["visible_pck_0_05"] == pytest.approx(14 / 15)
    assert figures["confident_pck_0_05"] == pytest.approx(14 / 15)
    assert figures["confident_share"] == pytest.approx(15 / 16)
    assert figures["mean_share"] == pytest.approx((0.049 + 0.099 + 0.101) / 16, abs=1e-6)


def test_limbs_found_on_the_other_side_are_swapped_if_they_are_apart_in_truth() -> None:
    truth, visible = body(), np.ones((1, JOINTS), bool)
    confidence = np.ones((1, JOINTS), np.float32)
    assert _figures(truth, confidence, truth, visible)["swapped_share"] == 0
    crossed = truth.copy()
    crossed[0, KNEES] = truth[0, KNEES[::-1]]
    assert _figures(crossed, confidence, truth, visible)["swapped_share"] == 1
    one = truth.copy()
    one[0, KNEES[0]] = truth[0, KNEES[1]]  # both knees on one leg are no exchange
    assert _figures(one, confidence, truth, visible)["swapped_share"] == 0


@pytest.mark.parametrize(("sign", "correlation"), [(-1, 1), (1, -1)])
def test_confidence_that_falls_with_the_error_correlates_with_it(
    sign: int, correlation: int
) -> None:
    truth, visible = body(), np.ones((1, JOINTS), bool)
    found = truth.copy()
    found[0, :, 0] += np.arange(JOINTS)
    confidence = (0.5 + sign * np.arange(JOINTS)[None] / 100).astype(np.float32)
    figures = _figures(found, confidence, truth, visible)
    assert figures["confidence_rank_correlation"] == pytest.approx(correlation)

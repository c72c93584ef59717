"""Slopes to learn from: a detector with another idea of joints; and what must not be forgotten."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from cvsf.skeleton import H36M_16
from runtime.detection.bundle import load_bundle
from tests.support.filmed import film_skier
from tests.support.takes import SEED
from train.bench.simulated_sessions import _SIM_BUNDLE, biased_bundle, shifted, spoilt

Batch = npt.NDArray[np.float32]


def heatmaps(model: onnx.ModelProto, picture: Batch) -> Batch:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"image": picture})
    return np.asarray(found)


def test_the_heatmaps_of_a_shifted_network_move_by_the_given_cells() -> None:
    picture = np.random.default_rng(0).uniform(0, 1, (1, 3, 128, 128)).astype(np.float32)
    cells = np.array([1.0, -2.0, 0.5] + [0.0] * (len(H36M_16) - 3))
    plain, moved = (
        heatmaps(model, picture)[0]
        for model in (
            onnx.load(str(_SIM_BUNDLE / "pose.onnx")),
            shifted(onnx.load(str(_SIM_BUNDLE / "pose.onnx")), cells),
        )
    )
    np.testing.assert_allclose(moved[0, 1:], plain[0, :-1], atol=1e-6)
    np.testing.assert_allclose(moved[1, :-2], plain[1, 2:], atol=1e-6)
    np.testing.assert_allclose(moved[2, 1:], (plain[2, 1:] + plain[2, :-1]) / 2, atol=1e-6)
    np.testing.assert_allclose(moved[3:], plain[3:], atol=1e-6)


def test_a_biased_bundle_is_one_the_hub_takes(tmp_path: Path) -> None:
    bundle = load_bundle(str(biased_bundle(7, tmp_path / "bundle")), tmp_path, offline=True)
    assert bundle.manifest.name == "sim-skier-7"
    assert not bundle.manifest.verified


def test_poisoned_poses_are_nan_or_have_their_views_shuffled() -> None:
    pose = film_skier(0.2, seed=SEED).poses()[0]
    random = np.random.default_rng(3)
    assert np.isnan(spoilt(pose, "NaN", random).keypoints_px).all()
    shuffled = spoilt(pose, "shuffled views", random)
    assert not np.array_equal(shuffled.keypoints_px, pose.keypoints_px)
    assert replace(shuffled, keypoints_px=pose.keypoints_px).cameras == pose.cameras

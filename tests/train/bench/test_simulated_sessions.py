"""Slopes to learn from: a detector with another idea of joints; and what must not be forgotten."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from cvsf.skeleton import H36M_16
from runtime.detection.bundle import load_bundle
from train.batches.body_augmentation import knees_bend_back
from train.batches.synthetic_motions import MOVEMENTS, PHASES, everyday
from train.bench.simulated_sessions import _SIM_BUNDLE, biased_bundle, shifted

Batch = npt.NDArray[np.float32]


def heatmaps(model: onnx.ModelProto, picture: Batch) -> Batch:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"image": picture})
    return np.asarray(found)


def test_heatmaps_move_by_as_many_cells_as_they_are_told() -> None:
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


def test_everyday_movement_is_of_bodies_whose_bones_keep_their_length() -> None:
    bodies = everyday()
    assert bodies.shape == (len(MOVEMENTS) * PHASES, len(H36M_16), 3)
    ends = [list(end) for end in zip(*H36M_16.bones, strict=True)]
    length = (bodies[:, ends[1]] - bodies[:, ends[0]]).norm(dim=-1)
    assert torch.allclose(length, length[:1].expand_as(length), atol=1e-5)
    assert knees_bend_back(bodies, H36M_16).float().mean() > 0.98

"""Heatmaps: the target a joint makes, the joint a heatmap holds, the losses between."""

import math

import pytest
import torch

from cvsf.skeleton import H36M_16
from train.detector.heatmap import box_loss, gaussians, peaks, pose_loss

JOINTS = len(H36M_16)


def test_a_joint_put_into_a_heatmap_is_read_from_it_again() -> None:
    cells = torch.rand(4, JOINTS, 2) * 20 + 6
    found, confidence = peaks(gaussians(cells, 32, 32), reach=4)
    assert float((found - cells).abs().max()) < 0.05
    assert float(confidence.min()) > 0.85


def test_a_joint_outside_the_crop_leaves_little_in_the_heatmap() -> None:
    cells = torch.tensor([[[-4.0, 10.0], [40.0, 10.0]]])
    assert float(gaussians(cells, 32, 32).max()) < 0.05


def test_a_gaussian_is_1_at_its_joint_and_falls_off_by_its_formula() -> None:
    (found,) = gaussians(torch.tensor([[[5.0, 3.0]]]), 8, 10)[0]
    assert found[3, 5] == 1
    assert float(found[3, 7]) == pytest.approx(math.exp(-(2**2) / (2 * 1.5**2)))
    assert float(found[4, 6]) == pytest.approx(math.exp(-2 / (2 * 1.5**2)))


def test_logits_of_the_right_place_cost_less_than_those_of_another() -> None:
    cells = torch.tensor([[[10.0, 12.0]]])
    target = gaussians(cells, 32, 32).clamp(1e-4, 1 - 1e-4)
    right = torch.logit(target)
    beside, away = right.roll(1, -1), right.roll(12, -1)
    losses = [float(pose_loss(logits, cells, 1.0)) for logits in (right, beside, away)]
    assert losses == sorted(losses)
    near = [float(pose_loss(beside, cells, w) - pose_loss(beside, cells, 0.0)) for w in (1.0, 2.0)]
    assert near[0] == pytest.approx(1, abs=0.1)  # one cell off
    assert near[1] == pytest.approx(2 * near[0], rel=1e-3)
    far = float(pose_loss(away, cells, 1.0) - pose_loss(away, cells, 0.0))
    assert far == pytest.approx(0, abs=1e-5)


def test_the_error_of_a_boxs_size_is_a_share_of_it() -> None:
    centre, size = torch.tensor([[4.0, 3.0]]), torch.tensor([[0.2, 0.4]])
    shares = torch.full((1, 3, 8, 10), 0.3)
    shares[:, 0] = 0.01
    logits = torch.logit(shares)
    right = logits.clone()
    right[:, 1:] = torch.logit(size)[:, :, None, None]
    apart = float(box_loss(logits, centre, size) - box_loss(right, centre, size))
    assert apart == pytest.approx(2 * (0.1 / 0.2 + 0.1 / 0.4), rel=1e-4)

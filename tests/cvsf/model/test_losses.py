"""Eq. 3 to 7 against the paper's formulas written out in loops."""

import numpy as np
import pytest
import torch

from cvsf.model.lifter import Lifter, LifterShape
from cvsf.model.losses import (
    pose_agreement_loss,
    refinement_loss,
    reprojection_loss,
    reprojections,
    shape_loss,
)
from cvsf.skeleton import H36M_16
from train.batches.batch import Batch
from train.config import TrainConfig
from train.loop.objectives import Objective, step_weights

INSTANTS, VIEWS, JOINTS = 2, 3, 5
RANDOM = torch.Generator().manual_seed(2)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=RANDOM, dtype=torch.float64)


POSE2D = random(INSTANTS, VIEWS, JOINTS, 2)
CONFIDENCE = random(INSTANTS, VIEWS, JOINTS).abs() + 0.1
CANONICAL = random(INSTANTS, VIEWS, JOINTS, 3)
ROTATION = torch.linalg.qr(random(INSTANTS, VIEWS, 3, 3)).Q


def unit_norm(pose: np.ndarray) -> np.ndarray:
    pose = pose - pose.mean(0)
    return np.asarray(pose / np.linalg.norm(pose))


def test_the_reprojection_loss_of_all_pairs_equals_eq_3_of_the_paper() -> None:
    total = 0.0
    for b in range(INSTANTS):
        for m in range(VIEWS):
            for n in range(VIEWS):
                projected = (ROTATION[b, m] @ CANONICAL[b, n].T)[:2].T.numpy()
                off = np.abs(unit_norm(POSE2D[b, m].numpy()) - unit_norm(projected))
                total += float((off * CONFIDENCE[b, m, :, None].numpy()).sum())
    ours = reprojection_loss(POSE2D, reprojections(CANONICAL, ROTATION), CONFIDENCE)
    assert float(ours) == pytest.approx(total / INSTANTS)


def test_a_perfect_reprojection_costs_nothing_at_any_size() -> None:
    body = CANONICAL[:, :1].expand_as(CANONICAL)
    seen = 7.3 * (body @ ROTATION[..., :2, :].mT) + 40
    assert float(reprojection_loss(seen, reprojections(body, ROTATION), CONFIDENCE)) < 1e-9


def test_a_view_without_the_person_does_not_change_the_loss() -> None:
    confidence = CONFIDENCE.clone()
    confidence[:, 1] = 0
    without = [0, 2]
    alone = reprojection_loss(
        POSE2D[:, without],
        reprojections(CANONICAL[:, without], ROTATION[:, without]),
        CONFIDENCE[:, without],
    )
    everything = reprojection_loss(POSE2D, reprojections(CANONICAL, ROTATION), confidence)
    torch.testing.assert_close(everything, alone)


def test_the_refinement_and_disagreement_losses_equal_those_of_the_paper() -> None:
    other = random(INSTANTS, VIEWS, JOINTS, 2)
    wanted = ((POSE2D - other).abs().sum(-1) * CONFIDENCE).sum() / INSTANTS
    torch.testing.assert_close(refinement_loss(POSE2D, other, CONFIDENCE), wanted)
    apart = sum(
        (CANONICAL[:, m] - CANONICAL[:, n]).abs().sum() for m in range(VIEWS) for n in range(VIEWS)
    )
    present = torch.ones(INSTANTS, VIEWS, dtype=torch.float64)
    assert float(pose_agreement_loss(CANONICAL, present)) == pytest.approx(float(apart) / INSTANTS)


def test_the_gradients_of_the_losses_equal_finite_differences() -> None:
    def total(canonical: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
        projected = reprojections(canonical, rotation)
        apart = pose_agreement_loss(canonical, CONFIDENCE.new_ones(INSTANTS, VIEWS))
        return reprojection_loss(POSE2D, projected, CONFIDENCE) + 0.01 * apart

    away = CANONICAL + 0.1 * random(*CANONICAL.shape)  # from where two views agree: a kink
    moved = away.requires_grad_(), ROTATION.clone().requires_grad_()
    assert torch.autograd.gradcheck(total, moved)


@pytest.mark.parametrize(("stage", "w1", "w2"), [(1, 1.0, 0.01), (2, 0.01, 1.0)])
def test_the_total_loss_of_a_stage_equals_eq_7(stage: int, w1: float, w2: float) -> None:
    torch.manual_seed(0)
    joints = len(H36M_16)
    lifter = Lifter(LifterShape(joints=joints, width=16, blocks=1)).double()
    config = TrainConfig(variant="s1s2", refine_every=1)
    objective = Objective(lifter, H36M_16, config)
    plane, confidence = random(3, VIEWS, joints, 2), random(3, VIEWS, joints).abs().clamp(0.2, 1)
    with torch.no_grad():
        canonical, rotation = lifter(plane, confidence)
        refined, sure = objective.fusion.refined_plane(canonical, rotation, plane, confidence)
        again, _ = lifter(refined, sure)
        ours = objective(Batch(plane, confidence, confidence), step_weights(config, stage, 0))
    again = config.canonical_norm * again / again.norm(dim=(-2, -1), keepdim=True)
    total = 0.0
    for b, m, n in np.ndindex(3, VIEWS, VIEWS):
        seen, moved = unit_norm(plane[b, m].numpy()), unit_norm(refined[b, m].numpy())
        shown = unit_norm((rotation[b, m] @ canonical[b, n].T)[:2].T.numpy())
        weight = confidence[b, m, :, None].numpy()
        total += w1 * (np.abs(seen - shown) * weight).sum()  # Eq. 3
        total += w1 * (m == n) * (np.abs(seen - moved) * weight).sum()  # Eq. 4, a view's own
        total += w2 * (np.abs(moved - shown) * weight).sum()  # Eq. 5
        total += w2 * np.abs(again[b, m].numpy() - again[b, n].numpy()).sum()  # Eq. 6
    assert float(ours) == pytest.approx(total / 3)


def test_a_turned_body_costs_no_shape_loss_and_a_mirrored_one_does() -> None:
    body, present = CANONICAL[:, 0], torch.ones(INSTANTS, VIEWS, dtype=torch.float64)
    proper = ROTATION * torch.linalg.det(ROTATION)[..., None, None]
    turned = (body - body[:, :1])[:, None] @ proper.mT
    assert float(shape_loss(turned, body, present)) < 1e-4
    assert float(shape_loss(-turned, body, present)) > 0.1
    assert float(shape_loss(-turned, body, present, torch.zeros(INSTANTS, VIEWS, JOINTS))) == 0

"""Eq. 3 to 6 against the paper's formulas written out in loops."""

import numpy as np
import pytest
import torch

from cvsf.losses import deviation, disagreement, refinement, reprojected

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


def test_reprojection_of_all_pairs_is_the_papers() -> None:
    total = 0.0
    for b in range(INSTANTS):
        for m in range(VIEWS):
            for n in range(VIEWS):
                projected = (ROTATION[b, m] @ CANONICAL[b, n].T)[:2].T.numpy()
                off = np.abs(unit_norm(POSE2D[b, m].numpy()) - unit_norm(projected))
                total += float((off * CONFIDENCE[b, m, :, None].numpy()).sum())
    ours = deviation(POSE2D, reprojected(CANONICAL, ROTATION), CONFIDENCE)
    assert float(ours) == pytest.approx(total / INSTANTS)


def test_a_perfect_reprojection_costs_nothing_at_any_size() -> None:
    body = CANONICAL[:, :1].expand_as(CANONICAL)
    seen = 7.3 * (body @ ROTATION[..., :2, :].mT) + 40
    assert float(deviation(seen, reprojected(body, ROTATION), CONFIDENCE)) < 1e-9


def test_a_view_without_the_person_changes_nothing() -> None:
    confidence = CONFIDENCE.clone()
    confidence[:, 1] = 0
    without = [0, 2]
    alone = deviation(
        POSE2D[:, without],
        reprojected(CANONICAL[:, without], ROTATION[:, without]),
        CONFIDENCE[:, without],
    )
    everything = deviation(POSE2D, reprojected(CANONICAL, ROTATION), confidence)
    torch.testing.assert_close(everything, alone)


def test_refinement_and_disagreement_are_the_papers() -> None:
    other = random(INSTANTS, VIEWS, JOINTS, 2)
    wanted = ((POSE2D - other).abs().sum(-1) * CONFIDENCE).sum() / INSTANTS
    torch.testing.assert_close(refinement(POSE2D, other, CONFIDENCE), wanted)
    apart = sum(
        (CANONICAL[:, m] - CANONICAL[:, n]).abs().sum() for m in range(VIEWS) for n in range(VIEWS)
    )
    present = torch.ones(INSTANTS, VIEWS, dtype=torch.float64)
    assert float(disagreement(CANONICAL, present)) == pytest.approx(float(apart) / INSTANTS)

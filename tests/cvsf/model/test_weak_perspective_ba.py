"""One body and its cameras, made to agree with every view."""

import pytest
import torch

from cvsf.model.geometry import rotation_from_step
from cvsf.model.weak_perspective_ba import bundle_adjust, scale_from_moments
from cvsf.skeleton import H36M_16

VIEWS, JOINTS = 4, len(H36M_16)
WRIST = H36M_16.index("lwrist")


def test_noisy_lifted_poses_of_exact_views_end_with_a_third_of_their_error(
    body: torch.Tensor, rotation: torch.Tensor
) -> None:
    plane = 1e-3 * (body[:, None] @ rotation.mT)[..., :2]
    random = torch.Generator().manual_seed(1)
    guess = body + 0.05 * torch.randn(body.shape, generator=random)
    turn = rotation_from_step(0.1 * torch.randn(2, VIEWS, 3, generator=random))
    joints, cameras, _ = bundle_adjust(guess, turn @ rotation, plane, torch.ones(2, VIEWS, JOINTS))
    exact = body[:, None] @ rotation.mT
    before = _off(guess[:, None] @ (turn @ rotation).mT, exact)
    assert _off(joints[:, None] @ cameras.view_from_canonical.mT, exact) < 0.3 * before


def _off(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Mean distance at the best scale."""
    found = found - found[..., :1, :]
    scale = (found * exact).sum((-2, -1)) / found.square().sum((-2, -1))
    return float((scale[..., None, None] * found - exact).norm(dim=-1).mean())


def test_no_rounds_leave_the_body_the_rotations_and_the_confidence_as_lifted(
    body: torch.Tensor, rotation: torch.Tensor
) -> None:
    plane = 1e-3 * (body[:, None] @ rotation.mT)[..., :2]
    confidence = torch.rand(2, VIEWS, JOINTS)
    joints, cameras, sure = bundle_adjust(body + 1, rotation, plane, confidence, rounds=0)
    torch.testing.assert_close(joints, body + 1)
    torch.testing.assert_close(cameras.view_from_canonical, rotation)
    torch.testing.assert_close(sure, confidence)
    assert cameras.scale.abs().max() == 0


def test_an_outlier_of_one_view_loses_its_confidence_and_the_scale_is_that_of_the_views(
    body: torch.Tensor, rotation: torch.Tensor
) -> None:
    plane = 1e-3 * (body[:, None] @ rotation.mT)[..., :2]
    plane[:, 1, WRIST] += 1e-3 * torch.tensor([1.0, -1.0])
    joints, cameras, sure = bundle_adjust(body, rotation, plane, torch.ones(2, VIEWS, JOINTS))
    assert float(sure[:, 1, WRIST].max()) < 0.1
    others = torch.ones(VIEWS, JOINTS, dtype=torch.bool)
    others[:, WRIST] = False
    assert float(sure[:, others].min()) > 0.5
    torch.testing.assert_close(cameras.scale, torch.full((2, VIEWS, 1, 1), 1e-3), rtol=0.05, atol=0)
    assert float((joints - body).norm(dim=-1).mean()) < 0.02


def test_a_view_that_saw_nobody_does_not_move_the_body(
    body: torch.Tensor, rotation: torch.Tensor
) -> None:
    plane = 1e-3 * (body[:, None] @ rotation.mT)[..., :2]
    confidence = torch.ones(2, VIEWS, JOINTS)
    confidence[:, 2] = 0
    wild = plane.clone()
    wild[:, 2] = 5.0
    one, two = (bundle_adjust(body, rotation, seen, confidence)[0] for seen in (plane, wild))
    torch.testing.assert_close(one, two)


def test_the_scale_of_moments_is_their_ratio_and_1_where_nothing_was_seen() -> None:
    spread = torch.diag(torch.tensor([3.0, 1.0, 9.0]))[None, None]
    shared = torch.diag(torch.tensor([1.5, 0.5, 7.0]))[None, None]
    assert scale_from_moments(spread, shared).item() == pytest.approx(0.5)
    assert scale_from_moments(0 * spread, 0 * shared).item() == 1

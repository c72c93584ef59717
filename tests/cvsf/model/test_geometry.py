"""Rotations, small systems and the body's own frame."""

import torch

from cvsf.model.geometry import (
    body_rotation,
    cross,
    rotation_about,
    rotation_from_6d,
    rotation_from_step,
    rotation_to_axis,
    solve3,
    unit,
    unit_length,
    weighted_centre,
)
from cvsf.skeleton import H36M_16

RANDOM = torch.Generator().manual_seed(1)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=RANDOM, dtype=torch.float64)


def is_rotation(matrix: torch.Tensor) -> bool:
    product = matrix @ matrix.mT
    square = torch.allclose(product, torch.eye(3, dtype=matrix.dtype).expand_as(product), atol=1e-7)
    return square and bool((torch.linalg.det(matrix) > 0).all())


def test_six_numbers_and_rotation_vectors_give_proper_rotations() -> None:
    assert is_rotation(rotation_from_6d(random(9, 6)))
    assert is_rotation(rotation_from_step(random(9, 3)))


def test_a_small_step_equals_the_rotation_by_its_vector() -> None:
    step = torch.tensor([0.0, 0.0, 1e-3], dtype=torch.float64)
    torch.testing.assert_close(
        rotation_from_step(step), rotation_about(2, step[2]), atol=1e-9, rtol=0
    )


def test_small_linear_systems_are_solved_as_torch_solves_them() -> None:
    half = random(20, 3, 3)
    matrix, right = half @ half.mT + 0.1 * torch.eye(3), random(20, 3)
    torch.testing.assert_close(solve3(matrix, right), torch.linalg.solve(matrix, right))
    torch.testing.assert_close(cross(right, half[:, 0]), torch.linalg.cross(right, half[:, 0]))


def test_a_direction_turned_to_the_axis_lies_on_it() -> None:
    direction = unit(random(20, 3) * torch.tensor([1.0, 1.0, 0.0]) + torch.tensor([0, 0, 1.5]))
    turn = rotation_to_axis(direction)
    assert is_rotation(turn)
    ahead = (turn @ direction[..., None])[..., 0]
    torch.testing.assert_close(ahead[:, 2], torch.ones(20, dtype=torch.float64))


def test_the_body_frame_turns_with_the_body_and_the_unit_does_not_change() -> None:
    joints, turn = random(4, len(H36M_16), 3), rotation_from_6d(random(4, 6))
    turned = joints @ turn.mT
    level, again = (
        joints @ body_rotation(joints, H36M_16).mT,
        turned @ body_rotation(turned, H36M_16).mT,
    )
    torch.testing.assert_close(level, again)
    torch.testing.assert_close(unit_length(joints, H36M_16), unit_length(turned, H36M_16))
    up = level[:, H36M_16.index("thorax")] - level[:, H36M_16.index("hip")]
    assert up[:, :2].abs().max() < 1e-9
    assert (up[:, 2] > 0).all()


def test_the_weighted_centre_without_weights_is_the_origin() -> None:
    assert weighted_centre(random(2, 5, 2), torch.zeros(2, 5, dtype=torch.float64)).abs().max() == 0

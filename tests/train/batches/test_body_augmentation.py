"""Bodies recombined and bent: bones hung on each other, knees that bend as knees do."""

import math

import numpy as np
import torch

from cvsf.model.geometry import rotation_about
from cvsf.skeleton import H36M_16
from train.batches.body_augmentation import Bodies, from_bones, knees_bend_back, random_bends
from train.batches.probe_inputs import STANDING

BODY = torch.tensor(np.array([STANDING[joint] for joint in H36M_16.joints]), dtype=torch.float32)
PARENTS = [max(parent, 0) for parent in H36M_16.parents]
BONES = BODY - BODY[PARENTS]
KNEE, ANKLE = H36M_16.index("lknee"), H36M_16.index("lankle")


def lengths(joints: torch.Tensor) -> torch.Tensor:
    bones = joints - joints[..., PARENTS, :]
    length: torch.Tensor = torch.linalg.vector_norm(bones, dim=-1)
    return length


def bent_knee(deg: float) -> torch.Tensor:
    """The standing body with its left shank turned about its left axis."""
    bends = torch.eye(3).repeat(len(H36M_16), 1, 1)
    bends[ANKLE] = rotation_about(1, torch.tensor(math.radians(deg)))
    return from_bones(BONES, H36M_16, bends)


def test_bones_of_a_body_strung_without_bends_are_the_body_again() -> None:
    torch.testing.assert_close(from_bones(BONES, H36M_16), BODY - BODY[0])


def test_a_bend_turns_its_bone_and_all_that_hangs_on_it_and_nothing_else() -> None:
    bends = torch.eye(3).repeat(len(H36M_16), 1, 1)
    bends[KNEE] = rotation_about(1, torch.tensor(-math.pi / 2))  # the thigh forward
    found = from_bones(BONES, H36M_16, bends)
    leg = [KNEE, ANKLE]
    others = [j for j in range(len(H36M_16)) if j not in leg]
    torch.testing.assert_close(found[others], (BODY - BODY[0])[others])
    torch.testing.assert_close(lengths(found), lengths(BODY))
    torch.testing.assert_close(found[ANKLE] - found[KNEE], bends[KNEE] @ BONES[ANKLE])


def test_knees_bend_only_so_that_they_point_forward() -> None:
    poses = torch.stack([bent_knee(deg) for deg in (0.0, 80.0, -80.0)])
    assert knees_bend_back(poses, H36M_16).tolist() == [True, True, False]


def test_random_bends_are_rotations_and_repeat_with_their_seed() -> None:
    one, again = (random_bends(5, H36M_16, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, again)
    assert one.shape == (5, len(H36M_16), 3, 3)
    torch.testing.assert_close(one @ one.mT, torch.eye(3).expand_as(one), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(one), torch.ones(5, len(H36M_16)))


def test_drawn_bodies_have_limbs_alike_on_both_sides_and_knees_that_point_forward() -> None:
    bodies = Bodies(1000 * BODY[None], H36M_16)
    found = bodies.draw(200, torch.Generator().manual_seed(0))
    assert torch.equal(found, bodies.draw(200, torch.Generator().manual_seed(0)))
    assert found[:, 0].abs().max() == 0
    assert knees_bend_back(found, H36M_16).all()
    left, right = (
        lengths(found)[:, [H36M_16.index(side + j) for j in ("elbow", "wrist", "ankle")]]
        for side in "lr"
    )
    assert float((left / right).log().abs().max()) < 0.5  # the standing body is not symmetric
    assert 0.5 < float(lengths(found)[:, KNEE].min()) / 0.42 < 1
    assert float(lengths(found)[:, KNEE].max()) / 0.42 > 1

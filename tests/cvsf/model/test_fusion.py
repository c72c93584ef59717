"""Exact views of a known body: fusion finds it and is not misled by what was not seen."""

import math

import pytest
import torch

from cvsf.model.epipolar_refinement import refined
from cvsf.model.fusion import FusedLifter, aim, unaim
from cvsf.model.geometry import rotation_about, rotation_from_step
from cvsf.model.lifter import Lifter, LifterShape, normalised
from cvsf.model.weak_perspective_ba import agree
from cvsf.skeleton import H36M_16

VIEWS = 4
JOINTS = len(H36M_16)
WRIST = H36M_16.index("lwrist")


@pytest.fixture
def body() -> torch.Tensor:
    random = torch.Generator().manual_seed(4)
    joints = 0.3 * torch.randn(2, JOINTS, 3, generator=random)
    return joints - joints[:, :1]


@pytest.fixture
def rotation() -> torch.Tensor:
    azimuth = torch.arange(VIEWS) * 2 * math.pi / VIEWS + 0.3
    return (rotation_about(0, torch.tensor(0.3)) @ rotation_about(1, azimuth)).expand(2, -1, 3, 3)


def graph() -> FusedLifter:
    torch.manual_seed(0)
    return FusedLifter(Lifter(LifterShape(joints=JOINTS, width=32, blocks=1)).eval(), H36M_16)


def test_noisy_lifts_of_exact_views_are_brought_together(
    body: torch.Tensor, rotation: torch.Tensor
) -> None:
    plane = 1e-3 * (body[:, None] @ rotation.mT)[..., :2]
    random = torch.Generator().manual_seed(1)
    guess = body + 0.05 * torch.randn(body.shape, generator=random)
    turn = rotation_from_step(0.1 * torch.randn(2, VIEWS, 3, generator=random))
    joints, cameras, _ = agree(guess, turn @ rotation, plane, torch.ones(2, VIEWS, JOINTS))
    exact = body[:, None] @ rotation.mT
    before = _off(guess[:, None] @ (turn @ rotation).mT, exact)
    assert _off(joints[:, None] @ cameras.view_from_canonical.mT, exact) < 0.3 * before


def _off(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Mean distance at the best scale."""
    found = found - found[..., :1, :]
    scale = (found * exact).sum((-2, -1)) / found.square().sum((-2, -1))
    return float((scale[..., None, None] * found - exact).norm(dim=-1).mean())


def test_a_joint_far_off_in_one_view_is_put_back(
    body: torch.Tensor, rotation: torch.Tensor
) -> None:
    exact = (body[:, None] @ rotation.mT)[..., :2]
    seen = exact.clone()
    seen[:, 1, WRIST] += torch.tensor([0.3, -0.2])
    confidence = torch.ones(2, VIEWS, JOINTS)
    confidence[:, 1, WRIST] = 0.4
    moved = refined(seen, confidence, rotation, exact + 0.02)
    assert (moved - exact)[:, 1, WRIST].norm(dim=-1).max() < 0.02
    assert (moved - exact).norm(dim=-1).max() < 0.02


def test_cameras_that_look_the_same_way_move_nothing(body: torch.Tensor) -> None:
    same = torch.eye(3).expand(2, VIEWS, 3, 3)
    seen = (body[:, None] @ same.mT)[..., :2].contiguous()
    moved = refined(seen, torch.ones(2, VIEWS, JOINTS), same, seen)
    torch.testing.assert_close(moved, seen)


def test_aiming_and_back_gives_the_pixels_again() -> None:
    random = torch.Generator().manual_seed(2)
    pixels = 200 * torch.randn(3, VIEWS, JOINTS, 2, generator=random) + 500
    for image in (torch.tensor([1920.0, 1080.0]), torch.zeros(2)):
        aimed = aim(pixels, torch.ones(3, VIEWS, JOINTS), image.expand(3, VIEWS, 2))
        torch.testing.assert_close(unaim(aimed.plane, aimed), pixels, atol=0.05, rtol=0)


def test_one_view_gives_its_own_pose_and_none_gives_zeros() -> None:
    random = torch.Generator().manual_seed(3)
    pixels = 100 * torch.randn(2, 3, JOINTS, 2, generator=random) + 500
    confidence = torch.zeros(2, 3, JOINTS)
    confidence[0, 1] = 0.9
    with torch.no_grad():
        out = graph()(pixels, confidence, torch.full((2, 3, 2), 1000.0))
    torch.testing.assert_close(out.fused[0], out.canonical[0, 1])
    assert out.fused[1].abs().max() == 0
    assert out.fused_confidence[1].max() == 0
    assert all(tensor.isfinite().all() for tensor in out)
    torch.testing.assert_close(out.refined_px[1], pixels[1])


def test_what_an_unseen_joint_or_view_holds_does_not_matter() -> None:
    random = torch.Generator().manual_seed(3)
    pixels = 100 * torch.randn(1, 4, JOINTS, 2, generator=random) + 500
    confidence = torch.full((1, 4, JOINTS), 0.9)
    confidence[:, :, 0] = 0  # nobody found the root
    confidence[:, 2] = 0
    image = torch.full((1, 4, 2), 1000.0)
    other = torch.where(confidence[..., None] > 0, pixels, -7e4)
    with torch.no_grad():
        a, b = graph()(pixels, confidence, image), graph()(other, confidence, image)
        three = graph()(*(x[:, [0, 1, 3]] for x in (pixels, confidence, image)))
    torch.testing.assert_close(a.fused, b.fused)
    torch.testing.assert_close(a.fused, three.fused, atol=1e-4, rtol=1e-4)


def test_normalising_is_blind_to_place_and_size() -> None:
    random = torch.Generator().manual_seed(3)
    pose, confidence = torch.randn(5, JOINTS, 2, generator=random), torch.ones(5, JOINTS)
    here, _, _ = normalised(pose, confidence)
    there, _, radius = normalised(80 * pose + 300, confidence)
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)
    assert (radius > 20).all()


def test_turning_depth_over_changes_no_reprojection() -> None:
    lifter = graph().lifter
    random = torch.Generator().manual_seed(3)
    pose, confidence = torch.randn(5, JOINTS, 2, generator=random), torch.ones(5, JOINTS)
    with torch.no_grad():
        canonical, rotation = lifter(pose, confidence)
        lifter.turn_depth_over()
        mirrored, turned = lifter(pose, confidence)
    torch.testing.assert_close(mirrored, canonical * torch.tensor([1.0, 1.0, -1.0]))
    before, after = (canonical @ rotation.mT)[..., :2], (mirrored @ turned.mT)[..., :2]
    torch.testing.assert_close(before, after)


def test_a_lifter_that_treats_sides_alike_lifts_the_mirrored_pose_to_the_mirrored_body() -> None:
    torch.manual_seed(0)
    shape = LifterShape(
        joints=JOINTS, width=32, blocks=1, parents=H36M_16.parents, mirrored=H36M_16.mirrored
    )
    lifter = Lifter(shape).eval()
    random = torch.Generator().manual_seed(5)
    pose, confidence = torch.randn(6, JOINTS, 2, generator=random), torch.ones(6, JOINTS)
    confidence[:2, WRIST] = 0
    order = list(H36M_16.mirrored)
    with torch.no_grad():
        canonical, rotation = lifter(pose, confidence)
        there, turned = lifter(pose[:, order] * torch.tensor([-1.0, 1.0]), confidence[:, order])
    sides = torch.tensor([1.0, -1.0, 1.0])
    torch.testing.assert_close(there, canonical[:, order] * sides)
    across = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(turned, across[:, None] * rotation * sides)


@pytest.mark.parametrize(
    "shape",
    [
        LifterShape(joints=JOINTS, width=32),
        LifterShape(
            joints=JOINTS, width=32, head_blocks=2, layer_norm=False, rotation="axis-angle"
        ),
    ],
)
def test_a_lifter_says_rotations(shape: LifterShape) -> None:
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(5)
    pose = torch.randn(4, JOINTS, 2, generator=random)
    with torch.no_grad():
        canonical, rotation = Lifter(shape).eval()(pose, torch.ones(4, JOINTS))
    assert canonical.shape == (4, JOINTS, 3)
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(4, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(4))

"""The lifter: one view's 2D pose to a canonical pose and a rotation."""

import math

import pytest
import torch

from cvsf.model.lifter import Lifter, LifterShape, bone_lengths, normalised
from cvsf.skeleton import H36M_16

JOINTS = len(H36M_16)
WRIST = H36M_16.index("lwrist")


def test_a_normalised_pose_does_not_depend_on_place_and_size() -> None:
    random = torch.Generator().manual_seed(3)
    pose, confidence = torch.randn(5, JOINTS, 2, generator=random), torch.ones(5, JOINTS)
    here, _, _ = normalised(pose, confidence)
    there, _, radius = normalised(80 * pose + 300, confidence)
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)
    assert (radius > 20).all()


def test_a_lifter_with_its_depth_turned_over_gives_the_mirrored_body_and_no_other_pixels() -> None:
    torch.manual_seed(0)
    lifter = Lifter(LifterShape(joints=JOINTS, width=32, blocks=1)).eval()
    random = torch.Generator().manual_seed(3)
    pose, confidence = torch.randn(5, JOINTS, 2, generator=random), torch.ones(5, JOINTS)
    with torch.no_grad():
        canonical, rotation = lifter(pose, confidence)
        lifter.mirror_depth()
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
def test_a_lifter_gives_proper_rotations(shape: LifterShape) -> None:
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(5)
    pose = torch.randn(4, JOINTS, 2, generator=random)
    with torch.no_grad():
        canonical, rotation = Lifter(shape).eval()(pose, torch.ones(4, JOINTS))
    assert canonical.shape == (4, JOINTS, 3)
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(4, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(4))


def test_the_length_of_a_bone_is_that_in_the_picture_and_0_where_an_end_is_missing() -> None:
    pose = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])
    length, square = bone_lengths(pose, torch.ones(3), (-1, 0, 1))
    torch.testing.assert_close(square, torch.tensor([0.0, 25.0, 1.0]))
    torch.testing.assert_close(length, torch.tensor([1e-3, 5.0, 1.0]), atol=1e-5, rtol=1e-5)
    _, without = bone_lengths(pose, torch.tensor([1.0, 0.0, 1.0]), (-1, 0, 1))
    assert without.tolist() == [0.0, 0.0, 0.0]


def test_a_joint_that_was_not_found_does_not_change_what_a_lifter_gives() -> None:
    torch.manual_seed(0)
    lifter = Lifter(LifterShape(joints=JOINTS, width=32, blocks=1, parents=H36M_16.parents)).eval()
    pose, confidence = torch.randn(3, JOINTS, 2), torch.ones(3, JOINTS)
    confidence[:, WRIST] = 0
    other = pose.clone()
    other[:, WRIST] = math.nan
    with torch.no_grad():
        one, two = lifter(pose, confidence), lifter(other, confidence)
    torch.testing.assert_close(one, two)
    assert (one[0][:, 0] == 0).all()


def test_a_lifter_of_windows_starts_as_a_lifter_of_the_middle_frame() -> None:
    torch.manual_seed(0)
    windows = Lifter(LifterShape(joints=JOINTS, width=32, blocks=1, frames=5, memory=8)).eval()
    single = Lifter(LifterShape(joints=JOINTS, width=32, blocks=1)).eval()
    found = single.load_state_dict(windows.state_dict(), strict=False)
    assert not found.missing_keys
    pose, confidence = torch.randn(2, 5, JOINTS, 2), torch.rand(2, 5, JOINTS) + 0.1
    with torch.no_grad():
        torch.testing.assert_close(
            windows(pose, confidence), single(pose[:, 2], confidence[:, 2]), atol=1e-5, rtol=1e-5
        )


def test_a_window_of_an_even_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="a window is 4 frames, expected an odd number"):
        LifterShape(joints=JOINTS, frames=4)


def test_a_lifter_that_treats_both_sides_alike_is_refused_with_axis_angles() -> None:
    with pytest.raises(
        ValueError, match="is equivariant to the left-right mirror gives rotations in 6d"
    ):
        LifterShape(joints=JOINTS, mirrored=H36M_16.mirrored, rotation="axis-angle")

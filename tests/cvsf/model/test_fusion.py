"""Exact views of a known body: fusion finds it and is not misled by what was not seen."""

import torch

from cvsf.model.fusion import FusedLifter, centre_views, to_pixels
from cvsf.model.lifter import Lifter, LifterShape
from cvsf.skeleton import H36M_16

VIEWS = 4
JOINTS = len(H36M_16)
WRIST = H36M_16.index("lwrist")


def graph() -> FusedLifter:
    torch.manual_seed(0)
    return FusedLifter(Lifter(LifterShape(joints=JOINTS, width=32, blocks=1)).eval(), H36M_16)


def test_pixels_aimed_at_the_plane_and_back_are_unchanged() -> None:
    random = torch.Generator().manual_seed(2)
    pixels = 200 * torch.randn(3, VIEWS, JOINTS, 2, generator=random) + 500
    for image in (torch.tensor([1920.0, 1080.0]), torch.zeros(2)):
        centred = centre_views(pixels, torch.ones(3, VIEWS, JOINTS), image.expand(3, VIEWS, 2))
        torch.testing.assert_close(to_pixels(centred.plane, centred), pixels, atol=0.05, rtol=0)


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


def test_pixels_of_unseen_joints_and_views_do_not_change_the_fused_pose() -> None:
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

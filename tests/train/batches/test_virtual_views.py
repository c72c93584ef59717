"""Synthetic bodies before synthetic cameras."""

import numpy as np
import torch

from cvsf.skeleton import H36M_16
from train.batches.probe_inputs import STANDING
from train.batches.virtual_views import VirtualViews


def test_virtual_views_project_their_body_and_repeat_with_their_seed() -> None:
    joints = torch.tensor(np.array([STANDING[j] for j in H36M_16.joints]) * 1000)[None]
    drawn = [
        VirtualViews(joints, H36M_16, torch.Generator().manual_seed(1)).draw(50, 4)
        for _ in range(2)
    ]
    assert torch.equal(drawn[0].pose2d, drawn[1].pose2d)
    one = drawn[0]
    assert one.pose2d.shape == (50, 4, len(H36M_16), 2)
    assert one.confidence.min() >= 0
    assert one.confidence.max() <= 1
    shown = (one.canonical[:, None] @ one.view_from_canonical.mT)[..., :2]
    shown = shown / shown.norm(dim=(-2, -1), keepdim=True)
    truth = one.truth2d - one.truth2d[..., :1, :]
    truth = truth / truth.norm(dim=(-2, -1), keepdim=True)
    assert (shown - truth).norm(dim=-1).mean() < 0.03

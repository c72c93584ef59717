"""Everyday movement by formula."""

import torch

from cvsf.skeleton import H36M_16
from train.batches.body_augmentation import knees_bend_back
from train.batches.synthetic_motions import MOVEMENTS, PHASES, everyday


def test_everyday_movement_is_of_bodies_whose_bones_keep_their_length() -> None:
    bodies = everyday()
    assert bodies.shape == (len(MOVEMENTS) * PHASES, len(H36M_16), 3)
    ends = [list(end) for end in zip(*H36M_16.bones, strict=True)]
    length = (bodies[:, ends[1]] - bodies[:, ends[0]]).norm(dim=-1)
    assert torch.allclose(length, length[:1].expand_as(length), atol=1e-5)
    assert knees_bend_back(bodies, H36M_16).float().mean() > 0.98

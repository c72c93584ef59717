"""A body seen without error by cameras all around it."""

import math

import pytest
import torch

from cvsf.model.geometry import rotation_about
from cvsf.skeleton import H36M_16

VIEWS, JOINTS = 4, len(H36M_16)


@pytest.fixture
def body() -> torch.Tensor:
    random = torch.Generator().manual_seed(4)
    joints = 0.3 * torch.randn(2, JOINTS, 3, generator=random)
    return joints - joints[:, :1]


@pytest.fixture
def rotation() -> torch.Tensor:
    azimuth = torch.arange(VIEWS) * 2 * math.pi / VIEWS + 0.3
    return (rotation_about(0, torch.tensor(0.3)) @ rotation_about(1, azimuth)).expand(2, -1, 3, 3)

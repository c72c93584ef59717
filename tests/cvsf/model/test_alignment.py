"""Alignment in torch against its twin in numpy."""

import numpy as np
import pytest
import torch

from cvsf.model.alignment import align
from cvsf.multiview import rotation

RANDOM = np.random.default_rng(0)
SOURCE, TARGET = RANDOM.normal(size=(2, 5, 3, 9, 3))
WEIGHT = RANDOM.uniform(0, 1, (5, 3, 9))
WEIGHT[0, :, 4] = 0


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_points_are_aligned_as_in_numpy(weight: np.ndarray | None, scale: bool) -> None:
    wanted = rotation.align(SOURCE, TARGET[:, :1], weight, scale=scale)
    ours = align(
        torch.from_numpy(SOURCE),
        torch.from_numpy(TARGET[:, :1]),
        None if weight is None else torch.from_numpy(weight),
        scale=scale,
    )
    for one, other in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other, atol=1e-9)


def test_points_of_weight_0_and_points_that_are_not_finite_give_finite_alignments() -> None:
    source = torch.from_numpy(SOURCE.copy())
    source[0, :, 4] = torch.nan
    found = align(source, torch.from_numpy(TARGET), torch.from_numpy(WEIGHT), scale=True)
    wanted = rotation.align(source.numpy(), TARGET, WEIGHT, scale=True)
    np.testing.assert_allclose(found.R.numpy(), wanted.R, atol=1e-9)
    source[1, 0, 0] = torch.inf
    assert align(source, torch.from_numpy(TARGET), torch.from_numpy(WEIGHT)).R.isfinite().all()

"""Descent for some minutes, and the moving average that is its result."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from train.detector.fit import _ema, _schedule, fit

WANTED = torch.tensor([[2.0, -1.0]])


def batches() -> Iterator[tuple[Tensor]]:
    random = torch.Generator().manual_seed(0)
    while True:
        yield (torch.randn(16, 2, generator=random),)


def loss_of(network: nn.Module, batch: tuple[Tensor]) -> Tensor:
    """How far the network is from a plane."""
    wanted: Tensor = batch[0] @ WANTED.T
    off: Tensor = network(batch[0]) - wanted
    return off.square().mean()


def test_the_rate_rises_in_a_line_falls_along_a_cosine_and_ends_at_a_hundredth() -> None:
    assert [_schedule(p) for p in (0, 0.01, 0.02)] == pytest.approx([0, 0.25, 0.5])
    assert _schedule(0.04) == pytest.approx(1)
    assert _schedule(0.52) == pytest.approx(0.01 + 0.99 / 2)
    assert _schedule(1) == pytest.approx(0.01)
    falling = [_schedule(0.04 + 0.96 * step / 50) for step in range(51)]
    assert falling == sorted(falling, reverse=True)


def test_averaged_weights_move_by_one_minus_the_decay() -> None:
    theirs = nn.BatchNorm1d(1)
    averaged = AveragedModel(nn.BatchNorm1d(1), multi_avg_fn=_ema, use_buffers=True)
    averaged.requires_grad_(False).n_averaged += 30  # the decay is 30 / 40
    nn.init.constant_(theirs.weight, 3.0)
    theirs.running_mean = torch.tensor([10.0])
    theirs.num_batches_tracked = torch.tensor(7)
    averaged.update_parameters(theirs)
    ours = averaged.module.state_dict()
    assert ours["weight"].item() == pytest.approx(0.75 * 1 + 0.25 * 3)
    assert ours["running_mean"].item() == pytest.approx(2.5)
    assert ours["num_batches_tracked"].item() == 0  # a count is no number to take a mean of


def test_a_fit_lowers_the_loss_and_returns_a_network_ready_to_run() -> None:
    torch.manual_seed(1)
    network = nn.Linear(2, 1)
    (batch,) = next(batches())
    before = loss_of(network, (batch,)).item()
    found = fit(network, batches(), loss_of, minutes=0.02, rate=0.05)
    assert loss_of(found, (batch,)).item() < before / 2
    assert not found.training
    assert not any(weight.requires_grad for weight in found.parameters())
    assert found is not network

"""Gradient descent for some minutes of a processor; its result is a moving average of the weights.

The learning rate follows the time computed, so a busy machine takes longer but learns the same.
"""

import copy
import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

log = logging.getLogger(__name__)

Tensors = tuple[Tensor, ...] | list[Tensor]
Batch = TypeVar("Batch", bound=tuple[Tensor, ...])

_WARM_UP = 0.04  # of the minutes
_DECAY = 0.998  # of the moving average, a step; a guess, not measured
_WEIGHT_DECAY = 0.02
_GRADIENT_NORM = 5.0


def fit(
    network: nn.Module,
    batches: Iterator[Batch],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    minutes: float,
    rate: float,
) -> nn.Module:
    """Train for so many minutes of this thread's processor time; it blocks. A network in evaluation
    mode with the moving average of the weights; `network` itself is trained too. Batches must not
    end before; precision is bfloat16 where that is faster.
    """
    network = network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from torch's types
    averaged = AveragedModel(network, multi_avg_fn=_ema, use_buffers=True).requires_grad_(False)
    averaged.update_parameters(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=_WEIGHT_DECAY)
    half = _half_is_faster(network, next(batches), loss_of)
    start, step, logged, lately = time.thread_time(), 0, 0.0, 0.0
    while (progress := (time.thread_time() - start) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * _schedule(progress)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = loss_of(network, next(batches))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
        optimizer.step()
        step += 1
        averaged.update_parameters(network)
        lately += (loss.item() - lately) / min(step, 100)
        if progress > logged:
            log.info(
                "training",
                extra={"share": round(progress, 2), "steps": step, "loss": round(lately, 4)},
            )
            logged = progress + 0.05
    return averaged.module.eval()


def _schedule(progress: float) -> float:
    """Up in a line, down along a cosine."""
    if progress < _WARM_UP:
        return progress / _WARM_UP
    down = (progress - _WARM_UP) / (1 - _WARM_UP)
    return 0.01 + 0.99 * 0.5 * (1 + float(torch.cos(torch.tensor(down * torch.pi))))


@torch.no_grad()
def _ema(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
    """Exponential moving average, over fewer steps at first; a layer's count of batches stays."""
    if averaged[0].is_floating_point():
        decay = min(_DECAY, int(count) / (int(count) + 10))
        torch._foreach_lerp_(averaged, current, 1 - decay)


def _half_is_faster(
    network: nn.Module, batch: Batch, loss_of: Callable[[nn.Module, Batch], Tensor]
) -> bool:
    """Whether bfloat16 is faster on this processor; measured, as some only emulate it."""
    spare = copy.deepcopy(network)
    seconds = {}
    for half in (False, True, False, True):
        start = time.thread_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = loss_of(spare, batch)
        torch.autograd.backward(loss)
        seconds[half] = time.thread_time() - start  # the second round counts
    log.info("precision chosen", extra={"bfloat16": seconds[True] < seconds[False]})
    return seconds[True] < seconds[False]

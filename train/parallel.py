"""The processes of one training run under torchrun, or the only one there is.

Every process draws the same global batch and takes its own slice, so how many there are changes no
figure.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cvsf.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this is the process that reads, writes and reports."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's slice of a global batch."""
        return rows.tensor_split(self.size)[self.rank]

    def joined(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over all processes."""
        if self.size == 1:
            return model
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=ids)

    def mean(self, *values: float) -> list[float]:
        """The means over all processes, the same in each."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return [float(v) for v in total / self.size]

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def company(device: str, batch_instants: int) -> Iterator[Company]:
    """This process's place among torchrun's, with a group for them while the block runs."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available() if device == "auto" else device == "cuda"
    if cuda and not torch.cuda.is_available():
        raise Refusal("device is cuda and torch sees none; expected a GPU, or device cpu")
    where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else None
    if where:
        torch.cuda.set_device(where)
    if size == 1:
        yield Company(device=where or torch.device("cpu"))
        return
    if batch_instants % size:
        raise Refusal(
            f"batch_instants is {batch_instants}, expected a multiple of the {size} processes"
        )
    dist.init_process_group("nccl" if where else "gloo")
    try:
        yield Company(rank=dist.get_rank(), size=size, device=where or torch.device("cpu"))
    finally:
        dist.destroy_process_group()

"""The process group of a training run under torchrun, or its only process.

Every process draws the same global batch and takes its own slice, so how many there are changes no
figure. On one machine: `TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun --rdzv-backend c10d
--rdzv-conf store_type=file --nproc-per-node 2 -m cvsf train ...`. With a rendezvous by file, only
loopback is listened on; with `--standalone` torchrun's own two ports listen on every address.
"""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cvsf.system.errors import Refusal
from cvsf.system.shutdown import die_with_parent

_LOOPBACK = "127.0.0.1"
_TIMEOUT = timedelta(days=1)
"""For rank 0 to read, score and write while the others wait; torchrun ends them if it dies.
A guess, not measured."""
_RANK_0_FIRST_S = 5.0
"""A process that refuses gives rank 0 so long to report the same error, and torchrun to end all.
A guess, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessGroup:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_rank_0(self) -> bool:
        """Whether this is the process that reads, writes and reports."""
        return self.rank == 0

    def shard(self, rows: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "part ..."]:
        """This process's rows of a batch that all processes have whole; all rows if it is the only
        one. Parts follow each other by rank and differ by one row at most.
        """
        return rows.tensor_split(self.size)[self.rank]

    def data_parallel(self, model: nn.Module) -> nn.Module:
        """The model, with gradients that are averaged over all processes at every backward pass;
        the same object if there is one process. All processes must call it.
        """
        if self.size == 1:
            return model
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=ids)

    def mean(self, *values: float) -> list[float]:
        """The mean over all processes of each value, the same in each process. All must call it,
        with as many values; it waits for the others. A single process gets its values back.
        """
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return [float(v) for v in total / self.size]

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block after which each process waits for all others; every process must enter it. If
        the block fails in one process, its own exception goes on there, and SystemExit with code 2
        is raised in those where it did not fail.
        """
        failed = 1.0
        try:
            yield
            failed = 0.0
        finally:
            (elsewhere,) = self.mean(failed)
            if elsewhere and not failed:
                raise SystemExit(2)


@contextmanager
def process_group(device: str, batch_instants: int) -> Iterator[ProcessGroup]:
    """The group of torchrun's processes (by its environment variables) while the block runs, or
    this one alone; `device` is cpu, cuda, or auto for cuda where there is one. It chooses the GPU;
    one of several processes is also killed if its parent ends. Refusal if there is no GPU for cuda,
    or `batch_instants` is no multiple of the processes; torch's errors if they do not meet.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available() if device == "auto" else device == "cuda"
    if cuda and not torch.cuda.is_available():
        raise Refusal("device is cuda and torch finds none; expected a GPU, or device cpu")
    where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else None
    if where:
        torch.cuda.set_device(where)
    if size == 1:
        yield ProcessGroup(device=where or torch.device("cpu"))
        return
    die_with_parent()  # or they would run on beside those that replace them
    if batch_instants % size:
        raise Refusal(
            f"batch_instants is {batch_instants}, expected a multiple of the {size} processes"
        )
    _form_group("nccl" if where else "gloo", size)
    try:
        yield ProcessGroup(rank=dist.get_rank(), size=size, device=where or torch.device("cpu"))
    finally:
        dist.destroy_process_group()


@contextmanager
def rank_0_errors(stop: threading.Event) -> Iterator[None]:
    """Of a Refusal that all processes raise alike, only rank 0's is reported; one that another
    process raises alone is reported by it. Another process waits 5 s at most for `stop`, then
    raises SystemExit with code 2 if it was set, else the Refusal. Other exceptions pass.

    torchrun ends all processes once one has exited, which sets `stop`.
    """
    try:
        yield
    except Refusal:
        if os.environ.get("RANK", "0") != "0" and stop.wait(_RANK_0_FIRST_S):
            raise SystemExit(2) from None
        raise


def leave() -> None:
    """End this process at once, with exit status 0 and without clean-up, if it is one of several;
    its output is flushed. Nothing happens in a single process.

    While Python is taken down, a thread of gloo that still holds a tensor wants the interpreter and
    aborts the process (pytorch/pytorch#179291): with its work done, torchrun would call it failed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _form_group(backend: str, size: int) -> None:
    """Form the group; among processes of one machine by loopback alone."""
    if int(os.environ.get("LOCAL_WORLD_SIZE", "0")) != size:
        dist.init_process_group(backend, timeout=_TIMEOUT)
        return
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(variable, loopback)
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        dist.init_process_group(backend, timeout=_TIMEOUT)
        return
    rank, port = int(os.environ["RANK"]), int(os.environ["MASTER_PORT"])
    store = _store(rank, port, size)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_TIMEOUT)


def _store(rank: int, port: int, size: int) -> Any:
    """The group's rendezvous; torch's own would listen on every address."""
    listener = None if rank else socket.create_server((_LOOPBACK, port))
    untyped: Any = dist
    return untyped.TCPStore(
        host_name=_LOOPBACK,
        port=port,
        world_size=size,
        is_master=listener is not None,
        timeout=_TIMEOUT,
        master_listen_fd=listener.detach() if listener else None,
    )

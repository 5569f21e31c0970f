"""Several processes that train one model, each encoding its share of every batch.

All draw the same batch from the same generator. Each encodes its share of the clips and
gets what the others made of theirs: what follows, the terms that couple a batch among
it, is computed by all of the whole batch, as one process would. So what all compute has
the same gradient everywhere, and the encoder's is the sum over the shares; `gathered`
makes both the mean over the processes, which `average_gradients` takes. A process alone
computes as if none of this was there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from worldmodel.errors import WorldModelError

_PATIENCE = timedelta(days=1)  # where one dies, torchrun ends the others


def launched() -> int:
    """How many processes torchrun started, 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if "RANK" in os.environ else 1


def launched_here() -> int:
    """How many of them run on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if launched() > 1 else 1


def own_gpu() -> torch.device:
    """The GPU of this process, each of a machine having one of its own.

    Raises:
        WorldModelError: The machine has fewer GPUs than processes.
    """
    wanted, found = launched_here(), torch.cuda.device_count()
    if wanted > found:
        raise WorldModelError(
            f"nproc_per_node must be at most {found}, the GPUs of this machine, got "
            f"{wanted}; device=cpu needs none"
        )
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """Connects the processes that torchrun started; does nothing for one alone."""
    if launched() == 1:
        yield
        return
    is_cuda = device.type == "cuda"
    if is_cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if is_cuda else "gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes files and says how far it is."""
    return not dist.is_initialized() or dist.get_rank() == 0


@contextmanager
def first_goes_first() -> Iterator[None]:
    """Has the other processes wait until the first is through."""
    if not is_first():
        agreed(0.0)
    yield
    if is_first():
        agreed(0.0)


def require_even(setting: str, batch: int, processes: int) -> None:
    """Raises ValueError unless so many processes can share a batch evenly.

    Args:
        setting: what says how large the batch is, and its value.
        batch: windows or clips in all.
        processes: that are to share them.
    """
    if batch % processes:
        raise ValueError(
            f"{setting} give a batch of {batch}, which {processes} processes cannot "
            f"share evenly: it must be a multiple of {processes}"
        )


def share(whole: Tensor) -> Tensor:
    """This process's rows of a batch (B, ...), B / size() of them, in order."""
    each = len(whole) // size()
    first = 0 if size() == 1 else dist.get_rank() * each
    return whole[first : first + each]


def gathered(part: Tensor) -> Tensor:
    """The whole batch (B, ...), of which each process has its `share`."""
    return part if size() == 1 else _Gather.apply(part)  # type: ignore[return-value]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Gives all processes the mean of their gradients."""
    if size() == 1:
        return
    grads = [p.grad for p in parameters if p.grad is not None]
    mean = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(mean)
    mean /= size()
    for grad, value in zip(grads, mean.split([g.numel() for g in grads]), strict=True):
        grad.copy_(value.view_as(grad))


def agreed(value: float) -> float:
    """What the first process says, for decisions that all must take alike."""
    if size() == 1:
        return value
    on_gpu = dist.get_backend() == "nccl"
    told = torch.tensor(value, dtype=torch.float64, device="cuda" if on_gpu else "cpu")
    dist.broadcast(told, 0)
    return float(told)


def synchronise(module: nn.Module) -> None:
    """Gives all processes the first one's weights and buffers."""
    if size() > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, 0)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        parts = [torch.empty_like(part) for _ in range(size())]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        # all have this gradient, of the whole loss: a sum over them would count it
        # size() times, and the mean that is taken later divides by size()
        return share(grads[0]) * size()

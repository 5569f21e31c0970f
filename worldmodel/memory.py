"""What memory is free, and one clear error before something begins that needs more."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from worldmodel.errors import WorldModelError

GIB = 2**30
_MACHINE = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
# A container's limit, what it uses, and what of that the system can drop; v2, then v1.
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


class NotEnoughMemoryError(WorldModelError):
    """What is to begin needs more memory than is free."""


def free_memory(device: torch.device | str) -> int | None:
    """Gives the bytes that can be taken on a device now; None where nothing tells.

    Of a CPU: what the system could give without swapping, within a container's limit.
    """
    device = torch.device(device)
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    if device.type != "cpu":
        return None
    known = [free for free in (_of_machine(), *_of_container()) if free is not None]
    return min(known, default=None)


def require_memory(
    what: str, needed: int, device: torch.device | str, mend: str
) -> None:
    """Checks that a device has so much memory free, where it tells.

    Args:
        what: needs it, as the subject of a sentence in the singular.
        needed: bytes.
        device: where.
        mend: what to do, as the message ends.

    Raises:
        NotEnoughMemoryError: it has less.
    """
    free = free_memory(device)
    if free is not None and needed > free:
        raise NotEnoughMemoryError(
            f"{what} needs {needed / GIB:.2f} GiB of memory on {device}, "
            f"{free / GIB:.2f} GiB are free: {mend}"
        )


def size_of(module: nn.Module) -> int:
    """Gives the bytes of a module's parameters and buffers."""
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def moved(module: nn.Module, device: torch.device, what: str, mend: str) -> None:
    """Moves a module to a device that has the memory for it.

    Raises:
        NotEnoughMemoryError: it has not.
    """
    first = next(module.parameters(), None)
    if first is not None and first.device.type != device.type:
        require_memory(what, size_of(module), device, mend)
    module.to(device)


def _of_machine() -> int | None:
    """What the system says is available; None where it says nothing."""
    if not _MACHINE.is_file():
        return None
    for line in _MACHINE.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_container() -> list[int]:
    """What is left of a container's limit, where there is one."""
    for limit, used, facts, droppable in _LIMITS:
        files = [_CGROUP / name for name in (limit, used, facts)]
        if not all(file.is_file() for file in files):
            continue
        most, now, told = (file.read_text() for file in files)
        if most.strip() == "max":
            return []
        stat = dict(line.split() for line in told.splitlines())
        return [max(0, int(most) - int(now) + int(stat.get(droppable, 0)))]
    return []

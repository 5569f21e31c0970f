"""What this machine is, and how fast it multiplies matrices."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

MATMUL_SIDE = 1024
_SMALL, _TURNS = 512, 8  # side of the products of `bf16_pays`, and how many
_TRIED = 128  # side of the first product of `matmul_rate`, doubled while time allows
_CUBED = 8  # times as many operations has a product of twice the side
PACKAGES = ("worldmodel-planner", "torch", "numpy", "mujoco", "gymnasium", "mink")


@dataclass(frozen=True)
class Hardware:
    """The facts that a measured millisecond depends on.

    Attributes:
        cpu: Model name of the processor.
        cores: Cores that this process may use.
        threads: Threads that torch uses for one operation.
        memory_gib: Physical memory [GiB], 0 where it cannot be read.
        device: Name of the device that computes: "cpu" or the GPU's name.
        system: Operating system and architecture.
    """

    cpu: str
    cores: int
    threads: int
    memory_gib: float
    device: str
    system: str

    def describe(self) -> str:
        """Gives one line for a table or a screen."""
        place = "" if self.device == "cpu" else f"{self.device}, "
        return (
            f"{place}{self.cpu}, {self.cores} cores, {self.threads} threads, "
            f"{self.memory_gib:.0f} GiB, {self.system}"
        )


@dataclass(frozen=True)
class MatmulRate:
    """Rate of a square matrix product [GFLOP/s] in two precisions."""

    fp32_gflops: float
    bf16_gflops: float


def hardware(device: torch.device | str = "cpu") -> Hardware:
    """Gives the facts about this machine as seen from a torch device."""
    device = torch.device(device)
    is_cuda = device.type == "cuda"
    return Hardware(
        cpu=_cpu_name(),
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        memory_gib=round(_memory_bytes() / 2**30, 1),
        device=torch.cuda.get_device_name(device) if is_cuda else device.type,
        system=f"{platform.system()} {platform.machine()}",
    )


def software() -> dict[str, str]:
    """Gives the versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def matmul_rate(
    device: torch.device | str = "cpu", seconds: float = 0.3, side: int = MATMUL_SIDE
) -> MatmulRate:
    """Measures square matrix products in fp32 and bf16.

    Args:
        device: Where to measure.
        seconds: Time spent on each precision [s].
        side: Side of the square matrices; smaller ones are taken where a product would
            take longer than `seconds`, as in bf16 where that is emulated.

    Returns:
        The median rates over the repetitions that fit into the time.
    """
    if seconds <= 0:
        raise ValueError(f"seconds must be positive, got {seconds}")
    device = torch.device(device)
    return MatmulRate(
        fp32_gflops=_gflops(torch.float32, device, seconds, side),
        bf16_gflops=_gflops(torch.bfloat16, device, seconds, side),
    )


@lru_cache(maxsize=8)
def bf16_pays(device: torch.device) -> bool:
    """Whether bf16 matrix products are faster than fp32 here.

    Processors without bf16 instructions emulate it, a hundred times slower; measured
    once per process. Both take turns and the fastest of each counts, so that other
    work on the machine, which delays some, does not decide what is computed.
    """
    single = _product_timer(torch.float32, device, _SMALL)
    half = _product_timer(torch.bfloat16, device, _SMALL)
    turns = [(half(), single()) for _ in range(_TURNS)]
    return min(turn[0] for turn in turns) < min(turn[1] for turn in turns)


def synchronize(device: torch.device | str) -> None:
    """Waits until a device has finished its work; nothing to do on a CPU."""
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _product_timer(
    dtype: torch.dtype, device: torch.device, side: int
) -> Callable[[], float]:
    """Gives a call that makes a product and tells its time [s]; one is made before."""
    matrix = torch.full((side, side), 0.5, dtype=dtype, device=device)
    out = torch.empty_like(matrix)
    torch.matmul(matrix, matrix, out=out)
    synchronize(device)

    def timed() -> float:
        start = time.perf_counter()
        torch.matmul(matrix, matrix, out=out)
        synchronize(device)
        return time.perf_counter() - start

    return timed


def _gflops(
    dtype: torch.dtype, device: torch.device, seconds: float, side: int
) -> float:
    tried = min(side, _TRIED)
    timed = _product_timer(dtype, device, tried)
    while tried < side and _CUBED * timed() < seconds:
        tried = min(side, 2 * tried)
        timed = _product_timer(dtype, device, tried)
    times: list[float] = []
    began = time.perf_counter()
    while not times or time.perf_counter() - began < seconds:
        times.append(timed())
    return 2 * tried**3 / sorted(times)[len(times) // 2] / 1e9


def _cpu_name() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine() or "unknown"


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0

"""Iterations that end in time."""

import time
from collections.abc import Iterator

import torch


def within(
    iterations: int, budget_ms: float | None, device: torch.device
) -> Iterator[int]:
    """Yields 0, 1, … below `iterations`, no longer than the budget lasts.

    An iteration begins only if one as long as the last would end in time, so the last
    one is late by less than it lasts; the first always runs. What a search evaluates
    after its iterations comes on top, at most as much as in one of them: mostly the
    last mean, by Gradient its last places. With a budget the device is waited for after
    each iteration, and how many there are depends on the machine: published results use
    None.

    Args:
        iterations: at most.
        budget_ms: time from the first iteration on [ms], or None for no limit.
        device: of the tensors that the iterations compute with.
    """
    if budget_ms is None:
        yield from range(iterations)
        return
    deadline = time.perf_counter() + budget_ms / 1e3
    took = 0.0
    for iteration in range(iterations):
        began = time.perf_counter()
        if iteration and began + took > deadline:
            return
        yield iteration
        wait_for(device)
        took = time.perf_counter() - began


def wait_for(device: torch.device) -> None:
    """Returns when the device has computed what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

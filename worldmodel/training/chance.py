"""Random draws on the device where they are used, so that a GPU waits for none."""

from __future__ import annotations

import torch
from torch import Tensor


def on_device(generator: torch.Generator, device: torch.device) -> torch.Generator:
    """A generator on the device: this one where it is there, else one seeded by it."""
    if generator.device.type == device.type:
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)


def uniform(*shape: int, generator: torch.Generator) -> Tensor:
    """Draws numbers in [0, 1) of a shape, on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device)


def whole_numbers(
    low: int, high: int, *shape: int, generator: torch.Generator
) -> Tensor:
    """Draws numbers from `low` to below `high`, on the generator's device."""
    return torch.randint(low, high, shape, generator=generator, device=generator.device)


def some_of(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draws so many of the rows, with replacement, on the generator's device."""
    return rows[whole_numbers(0, len(rows), count, generator=generator)]

"""The candidates of one iteration: normal noise around a mean, inside the bounds."""

import torch
from torch import Tensor

from planners.contract import Guess
from planners.noise import correlate, normal


def around(
    mean: Tensor,
    std: Tensor,
    seeds: Tensor,
    iteration: int,
    samples: int,
    correlation: float,
    extra: Tensor | None = None,
) -> Tensor:
    """Gives candidates (B, N, H, A) in [-1, 1]: the mean, the extra ones, random ones.

    Args:
        mean: (B, H, A) in [-1, 1].
        std: (B, H, A).
        seeds: (B,) int64.
        iteration: of the search.
        samples: N; more samples begin with the same candidates as fewer.
        correlation: of the noise of neighbouring steps, in [0, 1).
        extra: (B, E, H, A) in [-1, 1], with E < samples, or None.

    Raises:
        ValueError: there are too many extra candidates.
    """
    given = mean[:, None]
    if extra is not None:
        given = torch.cat([given, extra], dim=1)
    if given.shape[1] > samples:
        raise ValueError(
            f"guess.elites must hold at most samples-1={samples - 1} sequences, got "
            f"{given.shape[1] - 1}"
        )
    fresh = range(samples - given.shape[1])
    noise = normal(seeds, iteration, fresh, mean.shape[1], mean.shape[2])
    noise = correlate(noise, correlation).to(mean.dtype)
    drawn = noise * std[:, None]
    drawn += mean[:, None]
    return torch.cat([given, drawn.clamp_(-1.0, 1.0)], dim=1)


def first_std(guess: Guess, std: float) -> Tensor:
    """Gives the guess's std (B, H, A), or where it has none the planner's."""
    return torch.full_like(guess.mean, std) if guess.std is None else guess.std

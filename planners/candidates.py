"""The candidates of one iteration: normal noise around a mean, inside the bounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.checks import require_work
from planners.contract import Guess, Std, as_guess, seeds_for
from planners.noise import normal
from planners.search import Normal, Record

Shape = Callable[[Tensor], Tensor]
"""White noise (B, N, H, A) -> noise that remembers; its values stay standard normal."""


@dataclass(frozen=True, eq=False)
class Beginning:
    """Where a search begins.

    Attributes:
        where: to draw.
        given: (B, 1 + E, H, A) the guess's mean and its elites, inside the bounds.
        seeds: (B,) int64 on the guess's device.
        record: of what is seen from now on.
    """

    where: Normal
    given: Tensor
    seeds: Tensor
    record: Record


def begin(guess: Guess | Tensor, seeds: Tensor, std: Std, room: int) -> Beginning:
    """Gives where a search of `room` candidates begins.

    Its own std counts where the guess brings none.

    Raises:
        ValueError: guess, seeds, std or room do not fit together.
    """
    guess = as_guess(guess)
    require_work(room, guess.mean.shape[1])
    given = with_mean(guess.mean, guess.elites)
    if given.shape[1] > room:
        raise ValueError(
            f"the mean and guess.elites must be at most samples={room} sequences, "
            f"got 1 and {given.shape[1] - 1}"
        )
    return Beginning(
        where=_normal(guess, std),
        given=given,
        seeds=seeds_for(guess, seeds),
        record=Record.of(guess.mean),
    )


def around(
    where: Normal,
    seeds: Tensor,
    iteration: int,
    samples: int,
    shape: Shape,
    given: Tensor | None = None,
) -> Tensor:
    """Gives candidates (B, N, H, A) in [-1, 1]: the given ones, then random ones.

    Args:
        where: to draw.
        seeds: (B,) int64.
        iteration: of the search.
        samples: N; more samples begin with the same candidates as fewer.
        shape: of the noise over the steps.
        given: (B, E, H, A) in [-1, 1], with E <= samples, or None.
    """
    batch, horizon, action_size = where.mean.shape
    if given is None:
        given = where.mean.new_empty((batch, 0, horizon, action_size))
    fresh = range(samples - given.shape[1])
    noise = normal(seeds, iteration, fresh, horizon, action_size)
    drawn = shape(noise).to(where.mean.dtype) * where.std[:, None]
    drawn += where.mean[:, None]
    return torch.cat([given, drawn.clamp_(-1.0, 1.0)], dim=1)


def with_mean(mean: Tensor, elites: Tensor | None = None) -> Tensor:
    """Gives sequences (B, 1 + E, H, A): the mean (B, H, A), then the elites."""
    if elites is None:
        return mean[:, None]
    return torch.cat([mean[:, None], elites], dim=1)


def _normal(guess: Guess, std: Std) -> Normal:
    mean = guess.mean
    if guess.std is not None:
        return Normal(mean, guess.std)
    if not isinstance(std, Sequence):
        return Normal(mean, torch.full_like(mean, std))
    if len(std) != mean.shape[-1]:
        raise ValueError(
            f"std must be a number or a list of A={mean.shape[-1]}, one for each "
            f"action dimension, got {len(std)} values"
        )
    # One by one: a copy of the list to a GPU would be waited for.
    columns = [torch.full_like(mean[..., :1], one) for one in std]
    return Normal(mean, torch.cat(columns, dim=-1))

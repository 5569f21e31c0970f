"""Where a search begins: guesses that are joined, shifted in time, and chosen from."""

from dataclasses import replace

import torch
from torch import Tensor

from planners.contract import Guess


def beside(guess: Guess, proposed: Tensor) -> Guess:
    """The guess with proposals (B, E, H, A) among its elites."""
    known = [] if guess.elites is None else [guess.elites]
    return replace(guess, elites=torch.cat([proposed, *known], dim=1))


def shift(guess: Guess, steps: int, std: float | None = None) -> Guess:
    """Gives the guess `steps` later: the same actions, zeros at the end, a new std."""
    mean = _shifted(guess.mean, steps)
    return Guess(
        mean=mean,
        std=None if std is None else torch.full_like(mean, std),
        elites=None if guess.elites is None else _shifted(guess.elites, steps),
    )


def _shifted(actions: Tensor, steps: int) -> Tensor:
    later = actions[..., steps:, :]
    tail = torch.zeros_like(actions[..., :steps, :])
    return torch.cat([later, tail], dim=-2)


def choose(first: Tensor, one: Guess, other: Guess) -> Guess:
    """One guess where `first` (B,) holds, the other elsewhere."""
    std, elites = None, None
    if one.std is not None and other.std is not None:
        std = torch.where(first[:, None, None], one.std, other.std)
    if one.elites is not None and other.elites is not None:
        elites = torch.where(first[:, None, None, None], one.elites, other.elites)
    mean = torch.where(first[:, None, None], one.mean, other.mean)
    return Guess(mean, std, elites)

"""Where a search begins: guesses that are joined, shifted in time, and chosen from."""

from dataclasses import replace

import torch
from torch import Tensor

from planners.contract import Guess


def beside(guess: Guess, proposed: Tensor) -> Guess:
    """The guess with proposals (B, E, H, A) among its elites."""
    known = [] if guess.elites is None else [guess.elites]
    return replace(guess, elites=torch.cat([proposed, *known], dim=1))


def shift(
    guess: Guess, steps: int, std: float | None = None, stays: bool = False
) -> Guess:
    """Gives the guess `steps` later: the same actions, new ones at the end, a new std.

    Args:
        guess: where the search before this began, and what it kept.
        steps: by how many.
        std: of the new guess; None for the planner's own.
        stays: whether the new actions are the last one again, which stays there where
            actions say where to be; else they are zeros.
    """
    mean = _shifted(guess.mean, steps, stays)
    return Guess(
        mean=mean,
        std=None if std is None else torch.full_like(mean, std),
        elites=None if guess.elites is None else _shifted(guess.elites, steps, stays),
    )


def _shifted(actions: Tensor, steps: int, stays: bool) -> Tensor:
    later = actions[..., steps:, :]
    tail = torch.zeros_like(actions[..., :steps, :])
    if stays:
        tail = actions[..., -1:, :].expand_as(tail)
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

"""What a planner takes and gives: costs, guesses, plans."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

CostFn = Callable[[Tensor], Tensor]
"""Costs (B, N) of candidate action sequences (B, N, H, A); lower is better."""

ProposeFn = Callable[[Tensor], Tensor]
"""Action sequences (B, E, H, A) worth a look; given noise (B, E, H, A) to vary them."""


Std = float | Sequence[float]
"""A standard deviation for every action dimension, or a list of A, one for each."""

MOST_WORK = 1_000_000  # candidates x steps of an iteration


@dataclass(frozen=True, eq=False)
class Guess:
    """Where a search begins.

    Attributes:
        mean: (B, H, A) actions in [-1, 1]; its device and dtype rule the plan's.
        std: (B, H, A) standard deviations of the search around the mean, at least 0,
            or None for the planner's own.
        elites: (B, E, H, A) sequences that deserve a second look, or None.
    """

    mean: Tensor
    std: Tensor | None = None
    elites: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.mean, Tensor):
            raise ValueError(
                "guess.mean must be a torch tensor (B, H, A), got "
                f"{type(self.mean).__name__}"
            )
        if self.mean.ndim != 3 or not self.mean.is_floating_point():
            raise ValueError(
                "guess.mean must be a floating point tensor (B, H, A), got "
                f"{_describe(self.mean)}"
            )
        if not self.mean.numel():
            raise ValueError(
                "guess.mean (B, H, A) must have B, H and A of at least 1, got "
                f"{tuple(self.mean.shape)}"
            )
        if self.std is not None:
            self._check_like_mean("std", self.std, self.std.shape)
        if self.mean.device.type == "cpu":  # elsewhere, reading values would wait
            self._check_values()
        if self.elites is not None:
            if self.elites.ndim != 4:
                raise ValueError(
                    f"guess.elites must be (B, E, H, A), got {_describe(self.elites)}"
                )
            one = self.elites.shape[:1] + self.elites.shape[2:]
            self._check_like_mean("elites", self.elites, one)

    def beside(self, proposed: Tensor) -> "Guess":
        """Gives the guess with proposals (B, E, H, A) in front of its elites."""
        known = [] if self.elites is None else [self.elites]
        return replace(self, elites=torch.cat([proposed, *known], dim=1))

    def later(
        self, steps: int, std: float | None = None, stays: bool = False
    ) -> "Guess":
        """Gives the guess `steps` later: the same actions, new ones at the end.

        Args:
            steps: by how many.
            std: of the new guess; None for the planner's own.
            stays: whether the new actions are the last one again, which stays there
                where actions say where to be; else they are zeros.
        """
        mean = _later(self.mean, steps, stays)
        return Guess(
            mean=mean,
            std=None if std is None else torch.full_like(mean, std),
            elites=None if self.elites is None else _later(self.elites, steps, stays),
        )

    def where(self, rows: Tensor, other: "Guess") -> "Guess":
        """Gives this guess for the problems in `rows`, bool (B,), else the other."""
        std, elites = None, None
        if self.std is not None and other.std is not None:
            std = torch.where(rows[:, None, None], self.std, other.std)
        if self.elites is not None and other.elites is not None:
            some = rows[:, None, None, None]
            elites = torch.where(some, self.elites, other.elites)
        mean = torch.where(rows[:, None, None], self.mean, other.mean)
        return Guess(mean, std, elites)

    def _check_values(self) -> None:
        if not self.mean.isfinite().all():
            wrong = self.mean[~self.mean.isfinite()]
            raise ValueError(
                f"guess.mean must be finite, got {float(wrong[0])} among its values"
            )
        if self.std is None:
            return
        wrong = ~(self.std.isfinite() & (self.std >= 0))
        if wrong.any():
            raise ValueError(
                "guess.std must be finite and at least 0, got "
                f"{float(self.std[wrong][0])} among its values"
            )

    def _check_like_mean(self, name: str, value: Tensor, shape: torch.Size) -> None:
        mean = self.mean
        alike = value.dtype == mean.dtype and value.device == mean.device
        if shape != mean.shape or not alike:
            raise ValueError(
                f"guess.{name} must match guess.mean {_describe(mean)}, got "
                f"{_describe(value)}"
            )


@dataclass(frozen=True, eq=False)
class Plan:
    """What a search found.

    Attributes:
        actions: (B, H, A) in [-1, 1], the planner's documented choice.
        cost: (B,) cost of `actions`; inf where `invalid`.
        next_guess: where a further search of the same problem would begin: `actions`,
            the final std and the kept elites, not shifted in time.
        invalid: (B,) bool, true where no candidate had a finite cost; `actions` are
            then the guess.
        evaluations: candidates per problem whose cost was asked for.
        best_cost: (I, B) lowest cost seen up to and including each iteration.
        elite_cost: (I, B) mean finite cost of each iteration's elites, else inf.
    """

    actions: Tensor
    cost: Tensor
    next_guess: Guess
    invalid: Tensor
    evaluations: int
    best_cost: Tensor
    elite_cost: Tensor


class Planner(Protocol):
    """Searches for cheap action sequences of B problems side by side."""

    @property
    def room(self) -> int:
        """Candidates of the first iteration: a guess brings no more, mean included."""
        ...

    @property
    def kept(self) -> int:
        """Elites that a plan's `next_guess` brings, at most."""
        ...

    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives one plan per problem.

        The first candidates of its first call are the guess's mean and its elites, in
        this order.

        Args:
            cost: maps (B, N, H, A) to (B, N); candidates whose cost is NaN or infinite
                count as the worst.
            guess: where to begin; a tensor (B, H, A) is taken as the mean.
            seeds: (B,) int64, one per problem. With an elementwise cost a problem's
                plan is a function of its own guess and seed, bit for bit.
        """
        ...


def as_guess(guess: Guess | Tensor) -> Guess:
    """Gives the guess with its mean and elites inside the action bounds.

    Gradients do not flow through a plan.
    """
    if not isinstance(guess, Guess):
        guess = Guess(guess)
    std, elites = guess.std, guess.elites
    return Guess(
        mean=guess.mean.detach().clamp(-1.0, 1.0),
        std=None if std is None else std.detach(),
        elites=None if elites is None else elites.detach().clamp(-1.0, 1.0),
    )


def seeds_for(guess: Guess, seeds: Tensor) -> Tensor:
    """Gives the seeds (B,) on the guess's device.

    Raises:
        ValueError: the seeds are not int64 or not one per problem.
    """
    expected = guess.mean.shape[:1]
    if not isinstance(seeds, Tensor):
        raise ValueError(
            f"seeds must be a torch.int64 tensor {tuple(expected)}, got {seeds!r}"
        )
    if seeds.shape != expected or seeds.dtype != torch.int64:
        raise ValueError(
            f"seeds must be torch.int64 of shape {tuple(expected)} (one per problem "
            f"of the guess), got {_describe(seeds)}"
        )
    return seeds.to(guess.mean.device)


def require_work(candidates: int, horizon: int) -> None:
    """Raises ValueError if an iteration imagines more steps than anybody waits for."""
    if candidates * horizon > MOST_WORK:
        raise ValueError(
            f"candidates x horizon must be at most {MOST_WORK}, got {candidates} x "
            f"{horizon}; take fewer samples or a shorter horizon"
        )


def _later(actions: Tensor, steps: int, stays: bool) -> Tensor:
    """Sequences (..., H, A) without their first steps, and new ones at the end."""
    tail = torch.zeros_like(actions[..., :steps, :])
    if stays:
        tail = actions[..., -1:, :].expand_as(tail)
    return torch.cat([actions[..., steps:, :], tail], dim=-2)


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}"

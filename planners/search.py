"""What the searches are made of: begin, draw in time, ask, refit, answer."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from planners.contract import (
    CostFn,
    Guess,
    Plan,
    Std,
    as_guess,
    require_work,
    seeds_for,
)
from planners.noise import normal
from planners.ranking import (
    Scored,
    better,
    finite_means,
    finite_or,
    first,
    score,
    weighted_moments,
)

Shape = Callable[[Tensor], Tensor]
"""White noise (B, N, H, A) -> noise that remembers; its values stay standard normal."""


@dataclass(frozen=True, eq=False)
class Normal:
    """Independent normal distributions: `mean` and `std` (B, H, A)."""

    mean: Tensor
    std: Tensor


@dataclass
class Record:
    """What a search has seen so far.

    Attributes:
        best: (B, 1) the cheapest candidates; before any was seen the guess, at +inf.
        evaluations: candidates per problem whose cost was asked for.
    """

    best: Scored
    evaluations: int = 0
    _best_costs: list[Tensor] = field(default_factory=list)
    _elite_costs: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, mean: Tensor) -> "Record":
        """Gives the record of a search that begins at a guess (B, H, A)."""
        nothing = torch.full_like(mean[:, :1, 0], torch.inf)
        return cls(Scored(mean[:, None], nothing))

    def ask(self, cost: CostFn, candidates: Tensor) -> Scored:
        """Gives candidates (B, N, H, A) with their costs."""
        self.evaluations += candidates.shape[1]
        return score(cost, candidates)

    def note(self, elites: Scored) -> None:
        """Takes down an iteration with its elites, the cheapest first."""
        self.best = better(self.best, first(elites, 1))
        self._best_costs.append(self.best.cost[:, 0])
        self._elite_costs.append(elites.cost)

    @property
    def iterations(self) -> int:
        """How many were taken down."""
        return len(self._best_costs)

    def answer(self, chosen: Scored, std: Tensor, kept: Scored | None = None) -> Plan:
        """Gives the plan whose actions are the chosen (B, 1).

        It hands on the kept (B, E), the chosen in the place of those without a cost.
        """
        actions, cost = chosen.actions[:, 0], chosen.cost[:, 0]
        elites = None if kept is None else finite_or(kept, chosen).actions
        return Plan(
            actions=actions,
            cost=cost,
            next_guess=Guess(actions, std, elites),
            invalid=cost.isinf(),
            evaluations=self.evaluations,
            best_cost=torch.stack(self._best_costs),
            elite_cost=finite_means(self._elite_costs),
        )


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


@dataclass(frozen=True)
class Refit:
    """How a normal follows the candidates that were chosen.

    Attributes:
        mean_momentum: share of the old mean that is kept, in [0, 1].
        std_momentum: share of the old standard deviation that is kept, in [0, 1].
        min_std: lower bound of a refitted standard deviation.
        ddof: taken off the number of candidates in their variance, 0 or 1.
    """

    mean_momentum: float
    std_momentum: float
    min_std: float
    ddof: int = 0

    def __call__(self, before: Normal, elites: Scored, weights: Tensor) -> Normal:
        """Gives the next normal.

        Where no elite has a finite cost it stays as it was; where one has, which tells
        of no spread, its std does.

        Args:
            before: the normal that the candidates were drawn from.
            elites: (B, K) candidates, the cheapest first.
            weights: (B, K), 0 for candidates without a finite cost.
        """
        mean, std = weighted_moments(elites.actions, weights)
        if self.ddof:  # of one candidate: infinite, and not taken
            count = (weights > 0).sum(dim=1)[:, None, None]
            std = std * (count / (count - self.ddof)).sqrt().to(std.dtype)
        mean = _mixed(before.mean, mean, self.mean_momentum)
        std = _mixed(before.std, std, self.std_momentum)
        if self.std_momentum < 1.0:
            std = std.clamp(min=self.min_std)
        finite = elites.cost[:, :2, None, None] < torch.inf  # (B, 2, 1, 1)
        return Normal(
            torch.where(finite[:, 0], mean, before.mean),
            torch.where(finite[:, 1], std, before.std),
        )


def _mixed(old: Tensor, new: Tensor, momentum: float) -> Tensor:
    return old * momentum + new * (1.0 - momentum)


def even_weights(elites: Scored) -> Tensor:
    """Gives weights (B, K): 1 for each candidate with a finite cost, else 0."""
    return (elites.cost < torch.inf).to(elites.actions.dtype)

"""The cross-entropy method: refit a normal distribution to the cheapest candidates."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from planners.checks import (
    require_budget,
    require_elites,
    require_finite_at_least,
    require_fraction,
    require_iterations,
    require_kept,
    require_samples,
    require_std,
    require_types,
)
from planners.contract import CostFn, Guess, Plan, Std
from planners.noise import correlate
from planners.ranking import better, cheapest, finite_or, first, join
from planners.search import Refit, around, begin, even_weights, with_mean, within


@dataclass(frozen=True)
class CEM:
    """Refits mean and standard deviation to the elites, again and again.

    Every iteration asks for the cost of `samples` candidates, the first of them the
    mean; the first iteration begins with the guess and its elites. At the end the last
    mean is evaluated too. The answer is the cheapest sequence ever evaluated, so it is
    never worse than the guess; or the last mean, as in most published searches, and
    only where its cost is not finite the cheapest. `next_guess.mean` is the answer.

    Rubinstein & Kroese, The Cross-Entropy Method, 2004.

    Attributes:
        samples: candidates per problem and iteration.
        elites: cheapest candidates that the distribution is refitted to.
        iterations: number of refits.
        std: of the first iteration, where the guess brings none; a number, or one for
            each action dimension.
        min_std: lower bound of the standard deviation, so that the search stays awake.
        mean_momentum: share of the old mean kept in a refit, in [0, 1).
        std_momentum: share of the old std kept in a refit, in [0, 1).
        kept: elites that stay in the running in the next iteration, at their known
            cost, and in the next plan, re-evaluated.
        correlation: of the noise of neighbouring steps, in [0, 1).
        answer: "cheapest" or "mean".
        budget_ms: time after which no further iteration begins, or None; see `within`.
    """

    samples: int = 300
    elites: int = 30
    iterations: int = 10
    std: Std = 1.0
    min_std: float = 0.05
    mean_momentum: float = 0.1
    std_momentum: float = 0.1
    kept: int = 2
    correlation: float = 0.0
    answer: Literal["cheapest", "mean"] = "cheapest"
    budget_ms: float | None = None

    def __post_init__(self) -> None:
        require_types(self)
        require_samples("samples", self.samples, 2)
        require_elites(self.elites, self.samples)
        require_iterations(self.iterations)
        require_std("std", self.std)
        require_finite_at_least("min_std", self.min_std, 0.0)
        require_fraction("mean_momentum", self.mean_momentum)
        require_fraction("std_momentum", self.std_momentum)
        require_kept(self.kept, self.elites, self.samples)
        require_fraction("correlation", self.correlation)
        if self.answer not in ("cheapest", "mean"):
            raise ValueError(
                f"answer must be 'cheapest' or 'mean', got {self.answer!r}"
            )
        require_budget(self.budget_ms)

    @property
    def room(self) -> int:
        """Candidates of the first iteration."""
        return self.samples

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheapest sequence, or the last mean; see `Planner.plan`."""
        search = begin(guess, seeds, self.std, self.room)
        where, given, record = search.where, search.given, search.record
        refit = Refit(self.mean_momentum, self.std_momentum, self.min_std)
        shape = partial(correlate, correlation=self.correlation)
        kept = first(record.best, 0)
        for iteration in within(self.iterations, self.budget_ms, search.seeds.device):
            candidates = around(
                where, search.seeds, iteration, self.samples, shape, given
            )
            scored = record.ask(cost, candidates)
            elites = cheapest(join(kept, scored), self.elites)
            where = refit(where, elites, even_weights(elites))
            record.note(elites)
            given, kept = with_mean(where.mean), first(elites, self.kept)
        last = record.ask(cost, where.mean[:, None])
        if self.answer == "mean":
            chosen = finite_or(last, record.best)
        else:
            chosen = better(record.best, last)
        return record.answer(chosen, where.std, kept)

"""iCEM: the cross-entropy method with coloured noise, fewer samples, kept elites."""

from dataclasses import dataclass
from functools import partial

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
from planners.noise import coloured
from planners.ranking import better, cheapest, first, join
from planners.search import Refit, around, begin, even_weights, with_mean, within


@dataclass(frozen=True)
class ICEM:
    """The cross-entropy method made for few samples and real time.

    What it changes: noise that is smooth over the steps; a population that shrinks from
    iteration to iteration; elites that stay in the running and, shifted in time, begin
    the next plan; the mean as a candidate in the last iteration only (and in the first,
    where it is the guess). The answer is the cheapest sequence ever evaluated.

    Pinneri et al., Sample-efficient Cross-Entropy Method for Real-time Planning, 2020.

    Attributes:
        samples: candidates per problem in the first iteration.
        elites: cheapest candidates that the distribution is refitted to.
        iterations: number of refits.
        std: of the first iteration, where the guess brings none; a number, or one for
            each action dimension.
        min_std: lower bound of the standard deviation, so that the search stays awake.
        mean_momentum: share of the old mean kept in a refit, in [0, 1).
        std_momentum: share of the old std kept in a refit, in [0, 1).
        decay: each iteration draws so many times fewer samples than the one before,
            at least 1; never fewer than twice the elites, where there are so many.
        kept: elites that stay in the running in the next iteration, at their known
            cost, and in the next plan, re-evaluated.
        colour: the noise's power falls over frequency as 1 / f^colour, at least 0.
        budget_ms: time after which no further iteration begins, or None; see `within`.
    """

    samples: int = 300
    elites: int = 30
    iterations: int = 6
    std: Std = 0.5
    min_std: float = 0.05
    mean_momentum: float = 0.1
    std_momentum: float = 0.1
    decay: float = 1.25
    kept: int = 9
    colour: float = 2.0
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
        require_finite_at_least("decay", self.decay, 1.0)
        require_kept(self.kept, self.elites, self.samples)
        require_finite_at_least("colour", self.colour, 0.0)
        require_budget(self.budget_ms)

    @property
    def room(self) -> int:
        """Candidates of the first iteration."""
        return self.samples

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheapest sequence that was evaluated; see `Planner.plan`."""
        search = begin(guess, seeds, self.std, self.room)
        where, record = search.where, search.record
        refit = Refit(self.mean_momentum, self.std_momentum, self.min_std)
        shape = partial(coloured, exponent=self.colour)
        given, kept = search.given, first(record.best, 0)
        for iteration in within(self.iterations, self.budget_ms, search.seeds.device):
            if iteration:
                is_last = iteration == self.iterations - 1
                given = with_mean(where.mean) if is_last else None
            count = self.samples_of(iteration)
            candidates = around(where, search.seeds, iteration, count, shape, given)
            scored = record.ask(cost, candidates)
            elites = cheapest(join(kept, scored), self.elites)
            where = refit(where, elites, even_weights(elites))
            record.note(elites)
            kept = first(elites, self.kept)
        best = record.best
        if record.iterations < self.iterations:  # no time for the last, with its mean
            best = better(best, record.ask(cost, where.mean[:, None]))
        return record.answer(best, where.std, kept)

    def samples_of(self, iteration: int) -> int:
        """Gives how many candidates an iteration draws."""
        fewer = int(self.samples * self.decay**-iteration)
        return min(self.samples, max(fewer, 2 * self.elites))

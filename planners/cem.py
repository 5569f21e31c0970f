"""The cross-entropy method: refit a normal distribution to the cheapest candidates."""

from dataclasses import dataclass

import torch
from torch import Tensor

from planners.candidates import around, first_std
from planners.contract import (
    CostFn,
    Guess,
    Plan,
    as_guess,
    require_at_least,
    require_fraction,
    require_positive,
    seeds_for,
)
from planners.ranking import (
    Scored,
    better,
    cheapest,
    finite_means,
    first,
    join,
    score,
    weighted_moments,
)


@dataclass(frozen=True)
class CEM:
    """Refits mean and standard deviation to the elites, again and again.

    Every iteration asks for the cost of `samples` candidates, the first of them the
    mean; the first iteration begins with the guess and its elites. At the end the last
    mean is evaluated too. The answer is the cheapest sequence ever evaluated, so it is
    never worse than the guess, and `next_guess.mean` is the answer.

    Attributes:
        samples: candidates per problem and iteration.
        elites: cheapest candidates that the distribution is refitted to.
        iterations: number of refits.
        std: of the first iteration, where the guess brings none.
        min_std: lower bound of the standard deviation, so that the search stays awake.
        momentum: share of the old mean and std kept in a refit, in [0, 1).
        kept: elites that stay in the running in the next iteration, at their known
            cost, and in the next plan, re-evaluated.
        correlation: of the noise of neighbouring steps, in [0, 1).
    """

    samples: int = 300
    elites: int = 30
    iterations: int = 10
    std: float = 1.0
    min_std: float = 0.05
    momentum: float = 0.1
    kept: int = 2
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if not 2 <= self.elites <= self.samples:
            raise ValueError(
                f"elites must be in [2, samples={self.samples}], got {self.elites}"
            )
        require_at_least("iterations", self.iterations, 1)
        require_positive("std", self.std)
        require_at_least("min_std", self.min_std, 0.0)
        require_fraction("momentum", self.momentum)
        if not 0 <= self.kept <= min(self.elites, self.samples - 1):
            raise ValueError(
                f"kept must be in [0, elites={self.elites}] and below "
                f"samples={self.samples}, got {self.kept}"
            )
        require_fraction("correlation", self.correlation)

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheapest sequence that was evaluated; see `Planner.plan`."""
        guess = as_guess(guess)
        seeds = seeds_for(guess, seeds)
        mean, std = guess.mean, first_std(guess, self.std)
        extra = guess.elites
        best = Scored(mean[:, None], torch.full_like(mean[:, :1, 0], torch.inf))
        kept = first(best, 0)
        best_costs, elite_costs = [], []
        for iteration in range(self.iterations):
            candidates = around(
                mean, std, seeds, iteration, self.samples, self.correlation, extra
            )
            elites = cheapest(join(kept, score(cost, candidates)), self.elites)
            mean, std = self._refit(mean, std, elites)
            best = better(best, first(elites, 1))
            kept, extra = first(elites, self.kept), None
            best_costs.append(best.cost[:, 0])
            elite_costs.append(elites.cost)
        best = better(best, score(cost, mean[:, None]))
        actions = best.actions[:, 0]
        return Plan(
            actions=actions,
            cost=best.cost[:, 0],
            next_guess=Guess(actions, std, kept.actions),
            invalid=best.cost[:, 0].isinf(),
            evaluations=self.iterations * self.samples + 1,
            best_cost=torch.stack(best_costs),
            elite_cost=finite_means(elite_costs),
        )

    def _refit(
        self, mean: Tensor, std: Tensor, elites: Scored
    ) -> tuple[Tensor, Tensor]:
        weights = (elites.cost < torch.inf).to(mean.dtype)
        new_mean, new_std = weighted_moments(elites.actions, weights)
        new_mean = mean * self.momentum + new_mean * (1.0 - self.momentum)
        new_std = std * self.momentum + new_std * (1.0 - self.momentum)
        alive = elites.cost[:, :1, None] < torch.inf  # (B, 1, 1)
        mean = torch.where(alive, new_mean, mean)
        std = torch.where(alive, new_std.clamp(min=self.min_std), std)
        return mean, std

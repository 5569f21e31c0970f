"""Random shooting: draw candidates once, take the cheapest."""

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
from planners.ranking import cheapest, score


@dataclass(frozen=True)
class RandomShooting:
    """Draws candidates around the guess and answers with the cheapest one.

    The guess itself (and its elites, where it has some) are among the candidates, so
    the answer is never worse than the guess.

    Attributes:
        samples: candidates per problem.
        std: of the noise around the guess, where the guess brings none.
        correlation: of the noise of neighbouring steps, in [0, 1).
    """

    samples: int = 1000
    std: float = 1.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        require_at_least("samples", self.samples, 1)
        require_positive("std", self.std)
        require_fraction("correlation", self.correlation)

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheapest candidate; see `Planner.plan`."""
        guess = as_guess(guess)
        seeds = seeds_for(guess, seeds)
        std = first_std(guess, self.std)
        candidates = around(
            guess.mean, std, seeds, 0, self.samples, self.correlation, guess.elites
        )
        # Of equals the first wins, so where no cost is finite it is the guess.
        best = cheapest(score(cost, candidates), 1)
        actions = best.actions[:, 0]
        return Plan(
            actions=actions,
            cost=best.cost[:, 0],
            next_guess=Guess(actions, std),
            invalid=best.cost[:, 0].isinf(),
            evaluations=self.samples,
            best_cost=best.cost.T,
            elite_cost=best.cost.T,
        )

"""One planner after another: a wide search, then one that refines its answer."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from planners.contract import CostFn, Guess, Plan, Planner
from planners.noise import fold

_SECOND = 2  # use of a problem's seeds


@dataclass(frozen=True)
class Refine:
    """Searches with one planner, and goes on from there with another.

    The second begins with the first's answer and its elites, and with its own std. The
    answer is the cheaper of the two answers.

    Attributes:
        first: searches widely.
        then: refines, e.g. `Gradient`.
    """

    first: Planner
    then: Planner

    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheaper of both answers; see `Planner.plan`."""
        one = self.first.plan(cost, guess, seeds)
        begin = replace(one.next_guess, std=None)
        two = self.then.plan(cost, begin, fold(seeds, _SECOND))
        wins = two.cost < one.cost  # (B,)
        actions = torch.where(wins[:, None, None], two.actions, one.actions)
        best_cost = torch.minimum(one.best_cost[-1:], two.best_cost)
        return Plan(
            actions=actions,
            cost=torch.where(wins, two.cost, one.cost),
            next_guess=replace(two.next_guess, mean=actions),
            invalid=one.invalid & two.invalid,
            evaluations=one.evaluations + two.evaluations,
            best_cost=torch.cat([one.best_cost, best_cost]),
            elite_cost=torch.cat([one.elite_cost, two.elite_cost]),
        )

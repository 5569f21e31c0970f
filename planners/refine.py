"""One planner after another: a wide search, then one that refines its answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from planners.checks import require_budget, require_planner, require_types
from planners.contract import CostFn, Guess, Plan, Planner
from planners.noise import fold
from planners.ranking import Scored, cheapest, score
from planners.search import wait_for

_SECOND = 2  # use of a problem's seeds by the second search, and on from there


@dataclass(frozen=True)
class Refine:
    """Searches with one planner, and goes on from there with another.

    The second begins with the first's answer and its elites, and with its own std. Both
    answers are then evaluated side by side, and the cheaper one is the answer: searches
    may ask for costs in different precisions (`Gradient` does), which do not compare.
    In `best_cost` and `elite_cost` each iteration has the costs of its own search.

    Attributes:
        first: searches widely.
        then: refines, e.g. `Gradient`; begins with at least as many candidates as the
            first hands on.
        budget_ms: time for both, or None; see `within`. The second has what the first
            leaves, and begins only where that is at least an iteration of the first.
    """

    first: Planner
    then: Planner
    budget_ms: float | None = None

    def __post_init__(self) -> None:
        require_planner("first", self.first)
        require_planner("then", self.then)
        require_types(self)
        require_budget(self.budget_ms)
        handed_on = 1 + self.first.kept
        if handed_on > self.then.room:
            raise ValueError(
                f"then must begin with at least the {handed_on} candidates that first "
                f"hands on (its answer and kept={self.first.kept}), got a planner that "
                f"begins with {self.then.room}"
            )

    @property
    def room(self) -> int:
        """Candidates of the first iteration."""
        return self.first.room

    @property
    def kept(self) -> int:
        """Elites that a plan hands on, at most."""
        if self.budget_ms is None:
            return self.then.kept
        return max(self.first.kept, self.then.kept)

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheaper of both answers; see `Planner.plan`."""
        began = time.perf_counter()
        one = _limited(self.first, self.budget_ms).plan(cost, guess, seeds)
        left = self.budget_ms
        if left is not None:
            wait_for(one.actions.device)
            spent = 1e3 * (time.perf_counter() - began)
            left -= spent
            if left < spent / len(one.best_cost):
                return one
        begin = replace(one.next_guess, std=None)
        own = fold(seeds, _SECOND + _searches(self.first) - 1)
        two = _limited(self.then, left).plan(cost, begin, own)
        answers = score(cost, torch.stack([one.actions, two.actions], dim=1))
        return _joined(one, two, cheapest(answers, 1))


def _joined(one: Plan, two: Plan, answer: Scored) -> Plan:
    """The plan of both searches, with the cheaper answer (B, 1)."""
    actions, cost = answer.actions[:, 0], answer.cost[:, 0]
    best_cost = torch.minimum(one.best_cost[-1:], two.best_cost)
    return Plan(
        actions=actions,
        cost=cost,
        next_guess=replace(two.next_guess, mean=actions),
        invalid=cost.isinf(),
        evaluations=one.evaluations + two.evaluations + 2,
        best_cost=torch.cat([one.best_cost, best_cost]),
        elite_cost=torch.cat([one.elite_cost, two.elite_cost]),
    )


def _searches(planner: Planner) -> int:
    """How many searches a planner is made of, each with noise of its own.

    The first one of all has the noise that it has alone.
    """
    if isinstance(planner, Refine):
        return _searches(planner.first) + _searches(planner.then)
    return 1


def _limited(planner: Planner, budget_ms: float | None) -> Planner:
    """The planner with no more time than that, where it keeps an eye on time at all."""
    if budget_ms is None or not hasattr(planner, "budget_ms"):
        return planner
    settings: Any = planner
    own = settings.budget_ms
    return replace(
        settings, budget_ms=budget_ms if own is None else min(own, budget_ms)
    )

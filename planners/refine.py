"""One planner after another: a wide search, then one that refines its answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from planners.contract import CostFn, Guess, Plan, Planner, require_budget
from planners.noise import fold
from planners.watched import Watched

_SECOND = 2  # use of a problem's seeds by the second search, and on from there
_ANSWER = 0  # place of the first's answer among the second's candidates


@dataclass(frozen=True)
class Refine:
    """Searches with one planner, and goes on from there with another.

    The second begins with the first's answer and its elites, and with its own std. The
    answer is the cheaper of the two answers, by the costs that the second was given:
    gradients may be computed in another precision than the first search.

    Attributes:
        first: searches widely.
        then: refines, e.g. `Gradient`; begins with at least as many candidates as the
            first hands on.
        budget_ms: time for both, or None; see `within`. The second has what the first
            leaves, and does not begin where nothing is left.
    """

    first: Planner
    then: Planner
    budget_ms: float | None = None

    def __post_init__(self) -> None:
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
        return max(self.first.kept, self.then.kept)

    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheaper of both answers; see `Planner.plan`."""
        began = time.perf_counter()
        one = _limited(self.first, self.budget_ms).plan(cost, guess, seeds)
        left = self.budget_ms
        if left is not None:
            left -= 1e3 * (time.perf_counter() - began)
            if left <= 0:
                return one
        begin = replace(one.next_guess, std=None)
        watched = Watched(cost, _ANSWER)
        own = fold(seeds, _SECOND + _searches(self.first) - 1)
        two = _limited(self.then, left).plan(watched, begin, own)
        return _cheaper(one, two, two.cost < watched.seen())


def _cheaper(one: Plan, two: Plan, wins: Tensor) -> Plan:
    """Both searches' plan, the second's answer where it wins (B,)."""
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


def _searches(planner: Planner) -> int:
    """How many searches a planner is made of, each with noise of its own."""
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

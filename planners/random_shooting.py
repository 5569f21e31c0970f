"""Random shooting: draw candidates once, take the cheapest."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from planners.checks import (
    require_fraction,
    require_samples,
    require_std,
    require_types,
)
from planners.contract import CostFn, Guess, Plan, Std
from planners.noise import correlate
from planners.ranking import cheapest
from planners.search import around, begin


@dataclass(frozen=True)
class RandomShooting:
    """Draws candidates around the guess and answers with the cheapest one.

    The guess itself (and its elites, where it has some) are among the candidates, so
    the answer is never worse than the guess.

    Attributes:
        samples: candidates per problem.
        std: of the noise around the guess, where the guess brings none; a number, or
            one for each action dimension.
        correlation: of the noise of neighbouring steps, in [0, 1).
    """

    samples: int = 1000
    std: Std = 1.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        require_types(self)
        require_samples("samples", self.samples, 1)
        require_std("std", self.std)
        require_fraction("correlation", self.correlation)

    @property
    def room(self) -> int:
        """Candidates of the first iteration."""
        return self.samples

    @property
    def kept(self) -> int:
        """Elites that a plan hands on: none."""
        return 0

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheapest candidate; see `Planner.plan`."""
        search = begin(guess, seeds, self.std, self.room)
        where, record = search.where, search.record
        shape = partial(correlate, correlation=self.correlation)
        candidates = around(where, search.seeds, 0, self.samples, shape, search.given)
        best = cheapest(record.ask(cost, candidates), 1)
        record.note(best)
        return record.answer(record.best, where.std)

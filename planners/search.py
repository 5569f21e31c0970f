"""What the searches have in common: their record, and refitting a normal."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from planners.contract import CostFn, Guess, Plan
from planners.ranking import (
    Scored,
    better,
    finite_means,
    finite_or,
    first,
    score,
    weighted_moments,
)


@dataclass(frozen=True, eq=False)
class Normal:
    """Independent normal distributions: `mean` and `std` (B, H, A)."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True)
class Refit:
    """How a normal follows the candidates that were chosen.

    Attributes:
        mean_momentum: share of the old mean that is kept, in [0, 1].
        std_momentum: share of the old standard deviation that is kept, in [0, 1].
        min_std: lower bound of a refitted standard deviation.
    """

    mean_momentum: float
    std_momentum: float
    min_std: float

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

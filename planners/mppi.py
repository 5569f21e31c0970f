"""MPPI: move the mean to the average of the candidates, weighted by exp(-cost)."""

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
    score,
    weighted_moments,
)


@dataclass(frozen=True)
class MPPI:
    """Averages the cheapest candidates, the cheaper the heavier.

    The weight of a candidate is exp(-gap / temperature), its gap being its cost above
    the cheapest, in units of the median elite's: neither the scale of the cost nor a
    few huge costs matter. The answer is the last mean, evaluated once more; only where
    its cost is not finite it is the cheapest candidate seen. The answer is smoother
    than the cheapest candidate, and can cost more.

    Attributes:
        samples: candidates per problem and iteration.
        elites: cheapest candidates that are averaged; `samples` gives the classical
            method.
        iterations: number of averages.
        temperature: divides the gaps; inf weighs all elites alike, which is the
            cross-entropy method answering with its mean.
        std: of the first iteration, where the guess brings none.
        min_std: lower bound of the standard deviation, so that the search stays awake.
        correlation: of the noise of neighbouring steps, in [0, 1).
    """

    samples: int = 512
    elites: int = 64
    iterations: int = 6
    temperature: float = 0.5
    std: float = 1.0
    min_std: float = 0.05
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if not 2 <= self.elites <= self.samples:
            raise ValueError(
                f"elites must be in [2, samples={self.samples}], got {self.elites}"
            )
        require_at_least("iterations", self.iterations, 1)
        require_positive("temperature", self.temperature)
        require_positive("std", self.std)
        require_at_least("min_std", self.min_std, 0.0)
        require_fraction("correlation", self.correlation)

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the last mean with its cost; see `Planner.plan`."""
        guess = as_guess(guess)
        seeds = seeds_for(guess, seeds)
        mean, std = guess.mean, first_std(guess, self.std)
        extra = guess.elites
        best = Scored(mean[:, None], torch.full_like(mean[:, :1, 0], torch.inf))
        best_costs, elite_costs = [], []
        for iteration in range(self.iterations):
            candidates = around(
                mean, std, seeds, iteration, self.samples, self.correlation, extra
            )
            elites = cheapest(score(cost, candidates), self.elites)
            mean, std = self._refit(mean, std, elites)
            best = better(best, first(elites, 1))
            extra = None
            best_costs.append(best.cost[:, 0])
            elite_costs.append(elites.cost)
        last = score(cost, mean[:, None])
        invalid = best.cost[:, 0].isinf() & last.cost[:, 0].isinf()
        chosen = _first_finite(last, best)
        actions = chosen.actions[:, 0]
        return Plan(
            actions=actions,
            cost=chosen.cost[:, 0],
            next_guess=Guess(actions, std),
            invalid=invalid,
            evaluations=self.iterations * self.samples + 1,
            best_cost=torch.stack(best_costs),
            elite_cost=finite_means(elite_costs),
        )

    def _refit(
        self, mean: Tensor, std: Tensor, elites: Scored
    ) -> tuple[Tensor, Tensor]:
        weights = softmin_weights(elites.cost, self.temperature)
        new_mean, new_std = weighted_moments(elites.actions, weights)
        alive = elites.cost[:, :1, None] < torch.inf  # (B, 1, 1)
        mean = torch.where(alive, new_mean, mean)
        std = torch.where(alive, new_std.clamp(min=self.min_std), std)
        return mean, std


def softmin_weights(cost: Tensor, temperature: float) -> Tensor:
    """Gives weights (B, K) in [0, 1] of sorted costs (B, K), the first weight being 1.

    Weights are exp(-gap / temperature), with the gap above the cheapest in units of the
    median of the finite ones; an infinite cost weighs 0.
    """
    finite = cost < torch.inf
    gaps = cost - cost[:, :1]  # (B, K), NaN or inf where a cost is infinite
    middle = (finite.sum(dim=1, keepdim=True) - 1).clamp(min=0) // 2
    limits = torch.finfo(cost.dtype)
    unit = gaps.gather(1, middle).clamp(min=limits.tiny)
    gaps = (gaps / unit).clamp(max=limits.max) / temperature
    # In double precision, then rounded: exp's last bit may depend on vector lanes.
    weights = torch.exp(-gaps.double()).to(cost.dtype)
    return torch.where(finite, weights, 0.0)


def _first_finite(one: Scored, other: Scored) -> Scored:
    fits = one.cost < torch.inf  # (B, 1)
    return Scored(
        torch.where(fits[:, :, None, None], one.actions, other.actions),
        torch.where(fits, one.cost, other.cost),
    )

"""MPPI: move the mean to the average of the candidates, weighted by exp(-cost)."""

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
    require_positive,
    require_samples,
    require_share,
    require_std,
    require_types,
)
from planners.contract import CostFn, Guess, Plan, Std
from planners.noise import correlate
from planners.ranking import cheapest, finite_or
from planners.search import Refit, around, begin, with_mean, within


@dataclass(frozen=True)
class MPPI:
    """Averages the cheapest candidates, the cheaper the heavier.

    The weight of a candidate is exp(-gap / temperature), its gap being its cost above
    the cheapest. Where `relative`, gaps are in units of the median elite's: neither the
    scale of the cost nor a few huge costs matter; where more than half of the elites
    are as cheap as the cheapest, the others count nothing. The answer is the last mean,
    evaluated once more; only where its cost is not finite it is the cheapest candidate
    seen. The answer is smoother than the cheapest candidate, and can cost more.

    Williams et al., Information Theoretic MPC, 2017 (all samples, fixed std);
    Hansen et al., TD-MPC2, 2024 (elites, std refitted with the same weights).

    Attributes:
        samples: candidates per problem and iteration.
        elites: cheapest candidates that are averaged; `samples` gives the classical
            method.
        iterations: number of averages.
        temperature: divides the gaps; inf weighs all elites alike, which is the
            cross-entropy method answering with its mean.
        relative: whether gaps are measured in units of the median elite's gap, or in
            those of the cost.
        std: of the first iteration, where the guess brings none; a number, or one for
            each action dimension.
        min_std: lower bound of a refitted standard deviation, so that the search stays
            awake.
        mean_momentum: share of the old mean that is kept, in [0, 1).
        std_momentum: share of the old std that is kept, in [0, 1]; 1 is the classical
            method, whose std is fixed.
        correlation: of the noise of neighbouring steps, in [0, 1).
        budget_ms: time after which no further iteration begins, or None; see `within`.
    """

    samples: int = 512
    elites: int = 64
    iterations: int = 6
    temperature: float = 0.5
    relative: bool = True
    std: Std = 1.0
    min_std: float = 0.05
    mean_momentum: float = 0.0
    std_momentum: float = 0.0
    correlation: float = 0.0
    budget_ms: float | None = None

    def __post_init__(self) -> None:
        require_types(self)
        require_samples("samples", self.samples, 2)
        require_elites(self.elites, self.samples)
        require_iterations(self.iterations)
        require_positive("temperature", self.temperature)
        require_std("std", self.std)
        require_finite_at_least("min_std", self.min_std, 0.0)
        require_fraction("mean_momentum", self.mean_momentum)
        require_share("std_momentum", self.std_momentum)
        require_fraction("correlation", self.correlation)
        require_budget(self.budget_ms)

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
        """Gives the last mean with its cost; see `Planner.plan`."""
        search = begin(guess, seeds, self.std, self.room)
        where, given, record = search.where, search.given, search.record
        refit = Refit(self.mean_momentum, self.std_momentum, self.min_std)
        shape = partial(correlate, correlation=self.correlation)
        for iteration in within(self.iterations, self.budget_ms, search.seeds.device):
            candidates = around(
                where, search.seeds, iteration, self.samples, shape, given
            )
            elites = cheapest(record.ask(cost, candidates), self.elites)
            where = refit(where, elites, self.weights(elites.cost))
            record.note(elites)
            given = with_mean(where.mean)
        last = record.ask(cost, where.mean[:, None])
        return record.answer(finite_or(last, record.best), where.std)

    def weights(self, cost: Tensor) -> Tensor:
        """Gives weights (B, K) in [0, 1] of sorted costs (B, K), the first being 1."""
        gaps = cost - cost[:, :1]  # (B, K), NaN or inf where a cost is infinite
        if self.relative:
            gaps = _in_medians(gaps)
        return softmin_weights(gaps, self.temperature)


def softmin_weights(gaps: Tensor, temperature: float) -> Tensor:
    """Gives weights (B, K) exp(-gap / temperature); 0 for gaps that are not finite."""
    # In double precision, then rounded: exp's last bit may depend on vector lanes.
    weights = torch.exp(-gaps.double() / temperature).to(gaps.dtype)
    return torch.where(gaps.isfinite(), weights, 0.0)


def _in_medians(gaps: Tensor) -> Tensor:
    """Sorted gaps (B, K) in units of the (upper) median of the finite ones."""
    finite = gaps.isfinite()
    middle = finite.sum(dim=1, keepdim=True) // 2
    limits = torch.finfo(gaps.dtype)
    unit = gaps.gather(1, middle).clamp(min=limits.tiny)
    scaled = (gaps / unit).clamp(max=limits.max)
    return torch.where(finite, scaled, torch.inf)

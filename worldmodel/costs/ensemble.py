"""One cost from what several predictors say of the same candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Cost = Callable[[Tensor], Tensor]
"""Actions (B, N, H, A) in [-1, 1] -> costs (B, N)."""

LEAST_JUDGED = 2  # a guess's mean, and the action that does nothing, come first


@dataclass(frozen=True, eq=False)
class EnsembleCost:
    """A `CostFn`: the mean of what several predictors say.

    A search finds the candidate whose cost is most underestimated. Predictors that were
    trained from different weights err differently, so that one which all of them find
    cheap is more often cheap (Chua et al. 2018, PETS). That matters for the few
    candidates that a search goes on with, so the others are left to the first
    predictor: they rank behind those that all have judged, in its order.

    Attributes:
        costs: one of each predictor.
        judged: candidates of a call that all predictors judge, those that the first
            finds cheapest. The call's first two are always among them: the mean of the
            guess, and doing nothing where plans are compared with that. 0: all.
    """

    costs: tuple[Cost, ...]
    judged: int = 0

    def __call__(self, actions: Tensor) -> Tensor:
        """Costs (B, N) of candidates (B, N, H, A); differentiable in the actions."""
        if not self.judged or actions.shape[1] <= self.judged:
            return torch.stack([cost(actions) for cost in self.costs]).mean(0)
        first, *more = self.costs
        alone = first(actions)
        rank = alone.detach().clone()
        rank[:, :LEAST_JUDGED] = -torch.inf
        best = rank.topk(self.judged, dim=1, largest=False).indices
        some = actions.take_along_dim(best[..., None, None], dim=1)
        said = [alone.take_along_dim(best, dim=1), *(cost(some) for cost in more)]
        mean = torch.stack(said).mean(0)
        dearest = _finite(mean.detach(), -torch.inf).amax(dim=1, keepdim=True)
        others = rank.scatter(1, best, torch.inf)
        cheapest = _finite(others, torch.inf).amin(dim=1, keepdim=True)
        behind = (dearest - cheapest).clamp(min=0)
        return (alone + behind).scatter(1, best, mean)


def _finite(values: Tensor, other: float) -> Tensor:
    return torch.where(values.isfinite(), values, other)


def ensemble(costs: Sequence[Cost], judged: int) -> Cost:
    """The cost in the imagination of one predictor, or the mean over several."""
    return costs[0] if len(costs) == 1 else EnsembleCost(tuple(costs), judged)

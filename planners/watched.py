"""A cost that remembers what one of its candidates cost."""

import torch
from torch import Tensor

from planners.contract import CostFn


class Watched:
    """A cost that remembers what the candidate at one place costs.

    Planners first ask for the guess's mean and its elites, in this order, so a place
    names one of them, whatever the planner and the precision that it computes in.

    Args:
        cost: of candidates.
        place: of the candidate, counted over all calls: 0 is the guess's mean.
    """

    def __init__(self, cost: CostFn, place: int) -> None:
        self._cost = cost
        self._ahead = place  # candidates that are still to come before it
        self._seen: Tensor | None = None

    def __call__(self, actions: Tensor) -> Tensor:
        costs = self._cost(actions)
        if self._seen is None and self._ahead < actions.shape[1]:
            self._seen = costs[:, self._ahead].detach()
        self._ahead -= actions.shape[1]
        return costs

    def seen(self) -> Tensor:
        """The candidate's cost (B,); inf where it is not finite.

        Raises:
            RuntimeError: the planner has not asked for it.
        """
        if self._seen is None:
            raise RuntimeError(
                "the planner must ask for the guess's mean and its elites first, in "
                "this order; it has asked for fewer candidates"
            )
        return torch.where(self._seen.isfinite(), self._seen, torch.inf)

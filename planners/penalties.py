"""Penalties on actions, whatever the cost: on their size and on their changes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from planners.checks import require_finite_at_least, require_types
from planners.contract import CostFn
from planners.ranking import checked


@dataclass(frozen=True)
class Penalties:
    """What a sequence costs for itself, beside where it leads.

    Attributes:
        effort: weight of the mean squared action.
        smoothness: weight of the mean squared change from one action to the next, that
            from the action executed last to the first of the plan included.
    """

    effort: float = 0.0
    smoothness: float = 0.0

    def __post_init__(self) -> None:
        require_types(self)
        require_finite_at_least("effort", self.effort, 0.0)
        require_finite_at_least("smoothness", self.smoothness, 0.0)

    def on(self, cost: CostFn, last: Tensor | None = None) -> CostFn:
        """Gives the cost with the penalties added; without any, the cost itself.

        Args:
            cost: of candidates (B, N, H, A).
            last: (B, A) the actions executed last, or None at the start.
        """
        if not (self.effort or self.smoothness):
            return cost

        def penalised(actions: Tensor) -> Tensor:
            total = checked(cost(actions), actions)
            if self.effort:
                total = total + self.effort * _mean(actions.square())
            if self.smoothness:
                before = actions[:, :, :1] if last is None else _row(last, actions)
                steps = torch.cat([before, actions], dim=2).diff(dim=2)
                total = total + self.smoothness * _mean(steps.square())
            return total

        return penalised


def _row(last: Tensor, actions: Tensor) -> Tensor:
    """The last actions (B, A) as a step (B, N, 1, A) before each candidate."""
    batch, samples, _, action_size = actions.shape
    return last[:, None, None].expand(batch, samples, 1, action_size)


def _mean(squares: Tensor) -> Tensor:
    """The mean (B, N) over (B, N, H, A), added in an order that no batch changes."""
    flat = squares.flatten(2).unbind(dim=2)
    total = flat[0]
    for one in flat[1:]:
        total = total + one
    return total / len(flat)

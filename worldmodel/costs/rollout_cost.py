"""The planning cost: a roll-out of candidate actions, and a distance to the goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.inputs import require_sequences

Rollout = Callable[[Tensor], Tensor]
"""Actions (B, N, H, A) in [-1, 1] -> imagined latents (B, N, H, P, D)."""

CHUNK = 16384  # candidates, side by side
CPU_CHUNK = 2048  # stays in a processor's cache: a third less time than 16384


@dataclass(frozen=True, eq=False)
class RolloutCost:
    """A `CostFn`, (B, N, H, A) -> (B, N): imagine, then measure; in chunks.

    Attributes:
        rollout: imagines what actions lead to, from the past of B problems.
        distance: imagined latents (B, N, H, P, D) -> costs (B, N).
        chunk: candidates imagined at once over all problems, which bounds memory; None
            for what suits the device.
    """

    rollout: Rollout
    distance: Callable[[Tensor], Tensor]
    chunk: int | None = None

    def __call__(self, actions: Tensor) -> Tensor:
        """Cost of each candidate; differentiable in the actions."""
        require_sequences(actions, None)
        usual = CPU_CHUNK if actions.device.type == "cpu" else CHUNK
        candidates = max(1, (self.chunk or usual) // actions.shape[0])
        parts = [
            self.distance(self.rollout(some))
            for some in actions.split(candidates, dim=1)
        ]
        return torch.cat(parts, dim=1)

"""Latent goal costs: how far the imagined future stays from the goal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel.context import Context
from worldmodel.distances import FeltDistance, TemporalDistance


class Imagines(Protocol):
    """What a goal cost asks of a world model."""

    def imagine(self, context: Context, actions: Tensor) -> Tensor:
        """Latents (B, N, H, P, D) under actions (B, N, H, A)."""
        ...


@dataclass(frozen=True)
class GoalCost:
    """Which distances to the goal are summed, and when along the plan.

    Attributes:
        latent: weight of the mean squared latent difference.
        temporal: weight of the learned distance, in units of its farthest value.
        felt: weight of the difference in what the robot would feel.
        path: weight of the mean over the plan's steps; the rest, 1 - path, is on its
            last step.
        effort: weight of the mean squared action.
    """

    latent: float = 1.0
    temporal: float = 0.0
    felt: float = 0.0
    path: float = 0.3
    effort: float = 0.0

    def __post_init__(self) -> None:
        for name in ("latent", "temporal", "felt", "effort"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name} must be at least 0, got {getattr(self, name)}"
                )
        if not self.latent + self.temporal + self.felt > 0:
            raise ValueError("latent, temporal or felt must be above 0, all are 0")
        if not 0.0 <= self.path <= 1.0:
            raise ValueError(f"path must be in [0, 1], got {self.path}")

    def distance(
        self,
        latents: Tensor,
        goals: Tensor,
        temporal: TemporalDistance | None,
        felt: FeltDistance | None = None,
    ) -> Tensor:
        """Latents (..., P, D) and goals of a shape that broadcasts -> (...)."""
        total = latents.new_zeros(latents.shape[:-2])
        if self.latent:
            total = total + self.latent * (latents - goals).square().mean((-2, -1))
        if self.temporal:
            if temporal is None:
                raise ValueError(
                    "cost.temporal is above 0, but the model has no learned distance"
                )
            flat, ends = latents.flatten(-2), goals.flatten(-2)
            share = temporal(flat, ends) / temporal.spec.farthest
            total = total + self.temporal * share
        if self.felt:
            if felt is None:
                raise ValueError(
                    "cost.felt is above 0, but the model does not tell what is felt"
                )
            difference = felt(latents.flatten(-2), goals.flatten(-2))
            total = total + self.felt * difference
        return total

    def along(
        self,
        futures: Tensor,
        goals: Tensor,
        temporal: TemporalDistance | None,
        felt: FeltDistance | None = None,
    ) -> Tensor:
        """Futures (B, N, H, P, D) and goals (B, P, D) -> (B, N), without effort."""
        steps = self.distance(futures, goals[:, None, None], temporal, felt)
        return (1 - self.path) * steps[..., -1] + self.path * steps.mean(-1)


TILE = 64  # candidates


@dataclass(frozen=True)
class LatentGoalCost:
    """A `CostFn`: (B, N, H, A) in [-1, 1] -> (B, N), by imagination.

    On a CPU the candidates of each problem are imagined in tiles of one fixed shape
    (the last one padded): matrix products round differently with the number of rows,
    so this makes a candidate's cost bitwise independent of the batch, of its place in
    it and of chunking. Elsewhere all problems are imagined at once, in chunks.

    Attributes:
        model: imagines.
        context: the past of B problems.
        goals: (B, P, D).
        kind: which distance.
        temporal: the learned distance, if `kind` uses it.
        felt: the read-out of what is felt, if `kind` uses it.
        chunk: candidates imagined at once over all problems off the CPU, which bounds
            memory.
    """

    model: Imagines
    context: Context
    goals: Tensor
    kind: GoalCost
    temporal: TemporalDistance | None
    felt: FeltDistance | None = None
    chunk: int = 16384

    def __call__(self, actions: Tensor) -> Tensor:
        """Cost of each candidate; differentiable in the actions."""
        if actions.device.type == "cpu":
            rows = [self._tiled(b, actions[b : b + 1]) for b in range(len(actions))]
            return torch.cat(rows)
        candidates = max(1, self.chunk // actions.shape[0])
        parts = [
            self._cost(self.context, self.goals, some)
            for some in actions.split(candidates, dim=1)
        ]
        return torch.cat(parts, dim=1)

    def _tiled(self, problem: int, actions: Tensor) -> Tensor:
        """Costs (1, N) of one problem's candidates (1, N, H, A)."""
        context = self.context.problem(problem)
        goal = self.goals[problem : problem + 1].clone()
        count = actions.shape[1]
        padded = F.pad(actions, (0, 0, 0, 0, 0, -count % TILE))
        parts = [self._cost(context, goal, tile) for tile in padded.split(TILE, dim=1)]
        return torch.cat(parts, dim=1)[:, :count]

    def _cost(self, context: Context, goals: Tensor, actions: Tensor) -> Tensor:
        future = self.model.imagine(context, actions)  # (B, N, H, P, D)
        cost = self.kind.along(future, goals, self.temporal, self.felt)
        return cost + self.kind.effort * actions.square().mean((-2, -1))

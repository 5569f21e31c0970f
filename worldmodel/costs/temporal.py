"""How many steps apart are two latents? Learned from play with hindsight goals."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.costs.goal_projection import GoalProjection, GoalProjectionSpec
from worldmodel.inference.affine import pack


@dataclass(frozen=True)
class TemporalDistanceSpec:
    """Architecture of a `TemporalDistance`, and what counts as having arrived.

    Attributes:
        projection: what it looks at in a latent, and which part of that makes a goal.
        hidden: width of the hidden layers.
        discount: of the value that the distance is read from, in (0, 1); distances
            saturate at 1 / (1 - discount) steps.
        success_radius: distance along the goal's directions below which a goal is
            reached; 0 where only the goal itself counts.
    """

    projection: GoalProjectionSpec = field(default_factory=GoalProjectionSpec)
    hidden: int = 256
    discount: float = 0.96
    success_radius: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.discount < 1.0:
            raise ValueError(f"discount must be in (0, 1), got {self.discount}")
        if self.hidden < 1:
            raise ValueError(f"hidden must be at least 1, got {self.hidden}")
        if not self.success_radius >= 0:
            raise ValueError(
                f"success_radius must be at least 0, got {self.success_radius}"
            )

    @property
    def farthest(self) -> float:
        """The distance of what is never reached [model steps]."""
        return 1.0 / (1.0 - self.discount)


class TemporalDistance(nn.Module):
    """Discounted model steps from a latent to a goal latent, at least 0."""

    def __init__(self, spec: TemporalDistanceSpec) -> None:
        super().__init__()
        self.spec = spec
        self.projection = GoalProjection(spec.projection)
        self.enter = nn.Linear(self.projection.size, spec.hidden)
        self.middle = nn.Linear(spec.hidden, spec.hidden)
        self.norm = nn.LayerNorm(spec.hidden)
        self.leave = nn.Linear(spec.hidden, 1)

    def arrived(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Bool (...): which latents (..., D) have arrived at goals (..., D)."""
        return self.gap(latents, goals) <= self.spec.success_radius

    def gap(self, latents: Tensor, goals: Tensor) -> Tensor:
        """How far latents (..., D) are from goals (..., D) along what is a goal.

        In standard deviations of the first of these, (...).
        """
        return (self.projection.goal(latents) - self.projection.goal(goals)).norm(
            dim=-1
        )

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Latents (..., D) and goals (..., D), broadcast -> steps (...)."""
        seen = self.projection(latents, goals)
        hidden = F.gelu(self.enter(seen))
        hidden = F.gelu(self.norm(hidden + self.middle(hidden)))
        share = torch.sigmoid(self.leave(hidden).to(seen.dtype)).squeeze(-1)
        return self.spec.farthest * share

    def compute_in(self, dtype: torch.dtype) -> None:
        """Sets the precision of the network; what it looks at stays as it is."""
        pack(self, ("enter", "middle", "leave", "norm"), dtype)


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """Asymmetric square of `target - prediction` (Newey & Powell 1987), mean.

    Args:
        error: target minus prediction.
        expectile: in (0, 1); below 0.5 the prediction tends to the smaller targets.
    """
    weight = torch.where(error > 0, expectile, 1.0 - expectile)
    return (weight * error.square()).mean()

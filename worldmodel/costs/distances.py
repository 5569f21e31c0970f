"""The distances between latents that a world model has learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.costs.goal_projection import GoalProjection, GoalProjectionSpec
from worldmodel.inference.affine import pack

TINY = 1e-8  # keeps a root's gradient finite


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


class ReadDistance(nn.Module):
    """Mean squared difference of what is read linearly from two latents, at least 0.

    A latent weighs all its directions alike, of which a gripper or a cube is a few. A
    read-out that was trained beside the latents says plainly how far apart two of them
    are in what it reads, e.g. proprio (a goal picture has none, but its latent tells
    what the robot would feel there) or the places of colour blobs.

    Args:
        latent_dim: width D of a latent.
        size: quantities S that are compared.
    """

    def __init__(self, latent_dim: int, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.readout = nn.Linear(latent_dim, size, bias=False)

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Latents (..., D) and goals (..., D), broadcast -> (...)."""
        return self.readout(latents - goals).square().mean(-1)


class LatentDistance(nn.Module):
    """Root mean squared difference of two latents, in what a step of play changes.

    Play knows no parts of a step: whatever is reached by the next action is one step
    away by the temporal distance, 3 cm as well as 3 mm. This tells them apart.

    Args:
        step: root mean squared change of latents from one step of play to the next.
    """

    step: Tensor

    def __init__(self, step: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("step", torch.tensor(step))

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Latents (..., D) and goals (..., D), broadcast -> (...)."""
        return ((latents - goals).square().mean(-1) + TINY).sqrt() / self.step


@dataclass(frozen=True)
class LearnedSpec:
    """Which distances there are.

    Attributes:
        temporal: architecture of the temporal distance, or None.
        proprio: leading dimensions of proprio that latents tell; 0 for none.
        latent: whether it is known how far latents go in a step.
    """

    temporal: TemporalDistanceSpec | None = None
    proprio: int = 0
    latent: bool = False

    def __post_init__(self) -> None:
        if self.proprio < 0:
            raise ValueError(f"proprio must be at least 0, got {self.proprio}")


class LearnedDistances(nn.Module):
    """The distances; each is None where a model has not learned it.

    Args:
        temporal: model steps from one latent to the other.
        proprio: difference in what the robot would feel.
        latent: difference of the latents, in steps.
    """

    def __init__(
        self,
        temporal: TemporalDistance | None = None,
        proprio: ReadDistance | None = None,
        latent: LatentDistance | None = None,
    ) -> None:
        super().__init__()
        self.temporal, self.proprio, self.latent = temporal, proprio, latent

    @classmethod
    def of(cls, spec: LearnedSpec, latent_dim: int) -> Self:
        """Untrained distances between latents of a width."""
        return cls(
            TemporalDistance(spec.temporal) if spec.temporal else None,
            ReadDistance(latent_dim, spec.proprio) if spec.proprio else None,
            LatentDistance() if spec.latent else None,
        )

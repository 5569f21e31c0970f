"""All that a world model has learned to measure between latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import nn

from worldmodel.costs.read import ReadDistance
from worldmodel.costs.temporal import TemporalDistance, TemporalDistanceSpec


@dataclass(frozen=True)
class LearnedSpec:
    """Which distances there are.

    Attributes:
        temporal: architecture of the temporal distance, or None.
        proprio: leading dimensions of proprio that latents tell; 0 for none.
    """

    temporal: TemporalDistanceSpec | None = None
    proprio: int = 0

    def __post_init__(self) -> None:
        if self.proprio < 0:
            raise ValueError(f"proprio must be at least 0, got {self.proprio}")


class LearnedDistances(nn.Module):
    """The distances; each is None where a model has not learned it.

    Args:
        temporal: model steps from one latent to the other.
        proprio: difference in what the robot would feel.
    """

    def __init__(
        self,
        temporal: TemporalDistance | None = None,
        proprio: ReadDistance | None = None,
    ) -> None:
        super().__init__()
        self.temporal, self.proprio = temporal, proprio

    @classmethod
    def of(cls, spec: LearnedSpec, latent_dim: int) -> Self:
        """Untrained distances between latents of a width."""
        return cls(
            TemporalDistance(spec.temporal) if spec.temporal else None,
            ReadDistance(latent_dim, spec.proprio) if spec.proprio else None,
        )

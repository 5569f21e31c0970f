"""How many steps apart are two latents? Learned from play with hindsight goals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TemporalDistanceSpec:
    """Architecture of a `TemporalDistance`.

    Attributes:
        latent_dim: width D of a latent.
        hidden: width of the hidden layers.
        discount: of the value that the distance is read from, in (0, 1); distances
            saturate at 1 / (1 - discount) steps.
        read: directions R of a latent that it looks at; 0 for the whole latent.
    """

    latent_dim: int = 64
    hidden: int = 256
    discount: float = 0.96
    read: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.discount < 1.0:
            raise ValueError(f"discount must be in (0, 1), got {self.discount}")
        if min(self.latent_dim, self.hidden) < 1:
            raise ValueError(
                "latent_dim and hidden must be at least 1, got "
                f"{self.latent_dim} and {self.hidden}"
            )
        if self.read < 0:
            raise ValueError(f"read must be at least 0, got {self.read}")

    @property
    def farthest(self) -> float:
        """The distance of what is never reached [model steps]."""
        return 1.0 / (1.0 - self.discount)


class TemporalDistance(nn.Module):
    """Discounted model steps from a latent to a goal latent, at least 0.

    With `spec.read` it looks only at that many directions of the latents, which are
    given (`look_at`) and not learned: the fewer numbers a state is, the less play it
    takes to learn how far apart two of them are.
    """

    def __init__(self, spec: TemporalDistanceSpec) -> None:
        super().__init__()
        self.spec = spec
        self.read = None
        if spec.read:
            self.read = nn.Linear(spec.latent_dim, spec.read, bias=False)
            self.read.requires_grad_(False)
        width = spec.read or spec.latent_dim
        self.enter = nn.Linear(3 * width, spec.hidden)
        self.middle = nn.Linear(spec.hidden, spec.hidden)
        self.norm = nn.LayerNorm(spec.hidden)
        self.leave = nn.Linear(spec.hidden, 1)

    def look_at(self, directions: Tensor) -> None:
        """Sets the directions (R, D) of the latents that count.

        Raises:
            ValueError: they have another shape.
        """
        wanted = (self.spec.read, self.spec.latent_dim)
        if self.read is None or directions.shape != wanted:
            raise ValueError(
                f"directions must be (read, latent_dim)={wanted}, read above 0, got "
                f"{tuple(directions.shape)}"
            )
        with torch.no_grad():
            self.read.weight.copy_(directions)

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Latents (..., D) and goals (..., D), broadcast -> steps (...)."""
        if self.read is not None:
            latents, goals = self.read(latents), self.read(goals)
        goals = goals.expand_as(latents)
        pair = torch.cat((latents, goals, (latents - goals).abs()), dim=-1)
        hidden = F.gelu(self.enter(pair))
        hidden = F.gelu(self.norm(hidden + self.middle(hidden)))
        share = torch.sigmoid(self.leave(hidden)).squeeze(-1)
        return self.spec.farthest * share


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """Asymmetric square of `target - prediction` (Newey & Powell 1987), mean.

    Args:
        error: target minus prediction.
        expectile: in (0, 1); below 0.5 the prediction tends to the smaller targets.
    """
    weight = torch.where(error > 0, expectile, 1.0 - expectile)
    return (weight * error.square()).mean()

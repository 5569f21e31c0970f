"""What is looked at in a latent: all of it, or a few directions that were found."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LookSpec:
    """Which part of a latent is a state, and which part of that is a goal.

    Attributes:
        latent_dim: width D of a latent.
        read: directions R of a latent that are looked at; 0 for the whole latent.
        aim: how many of them, the first ones, have to be brought to where the goal
            has them, in [0, read]; 0 for all.
    """

    latent_dim: int = 64
    read: int = 0
    aim: int = 0

    def __post_init__(self) -> None:
        if self.latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1, got {self.latent_dim}")
        if self.read < 0:
            raise ValueError(f"read must be at least 0, got {self.read}")
        if not 0 <= self.aim <= self.read:
            raise ValueError(f"aim must be in [0, read={self.read}], got {self.aim}")

    @property
    def state_size(self) -> int:
        """Numbers that a state is."""
        return self.read or self.latent_dim

    @property
    def aim_size(self) -> int:
        """Numbers that a goal is."""
        return self.aim or self.state_size


class Look(nn.Module):
    """Latents (..., D) -> states and goals, along directions that are not learned.

    The fewer numbers a state is, the less play it takes to learn from it. And a goal
    that is only a part of it, "things are there, wherever the gripper is then", is met
    many times in play, where a whole state is met once.
    """

    def __init__(self, spec: LookSpec) -> None:
        super().__init__()
        self.spec = spec
        self.read = None
        if spec.read:
            self.read = nn.Linear(spec.latent_dim, spec.read, bias=False)
            self.read.requires_grad_(False)

    def along(self, directions: Tensor) -> None:
        """Sets the directions (R, D) of the latents that count, the aim's first.

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

    def state(self, latents: Tensor) -> Tensor:
        """Latents (..., D) -> what is looked at, (..., state_size)."""
        return latents if self.read is None else self.read(latents)

    def aim(self, latents: Tensor) -> Tensor:
        """Latents (..., D) -> what is compared with a goal, (..., aim_size)."""
        return self.state(latents)[..., : self.spec.aim_size]

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Latents (..., D) and goals (..., D), broadcast -> what tells them apart.

        Returns:
            (..., state_size + 3 aim_size): the state, the goal, and along each
            direction of the goal what they differ by, with its sign and without.
        """
        state = self.state(latents)
        here = state[..., : self.spec.aim_size]
        there = self.aim(goals).expand_as(here)
        gap = there - here
        return torch.cat((state, there, gap, gap.abs()), dim=-1)

    @property
    def size(self) -> int:
        """Numbers that `forward` gives."""
        return self.spec.state_size + 3 * self.spec.aim_size

"""What is looked at in a latent: all of it, or a few directions that were found."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class GoalProjectionSpec:
    """Which part of a latent is a state, and which part of that is a goal.

    Attributes:
        latent_dim: width D of a latent.
        state_dim: directions R of a latent that are looked at; 0 for the whole latent.
        goal_dim: how many of them, the first ones, have to be brought to where the
            goal has them, in [0, state_dim]; 0 for all.
    """

    latent_dim: int = 64
    state_dim: int = 0
    goal_dim: int = 0

    def __post_init__(self) -> None:
        if self.latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1, got {self.latent_dim}")
        if self.state_dim < 0:
            raise ValueError(f"state_dim must be at least 0, got {self.state_dim}")
        if not 0 <= self.goal_dim <= self.state_dim:
            raise ValueError(
                f"goal_dim must be in [0, state_dim={self.state_dim}], got "
                f"{self.goal_dim}"
            )

    @property
    def state_size(self) -> int:
        """Numbers that a state is."""
        return self.state_dim or self.latent_dim

    @property
    def goal_size(self) -> int:
        """Numbers that a goal is."""
        return self.goal_dim or self.state_size


class GoalProjection(nn.Module):
    """Latents (..., D) -> states and goals, along directions that are not learned.

    The fewer numbers a state is, the less play it takes to learn from it. And a goal
    that is only a part of it, "things are there, wherever the gripper is then", is met
    many times in play, where a whole state is met once.
    """

    def __init__(self, spec: GoalProjectionSpec) -> None:
        super().__init__()
        self.spec = spec
        self.readout = None
        if spec.state_dim:
            self.readout = nn.Linear(spec.latent_dim, spec.state_dim, bias=False)
            self.readout.requires_grad_(False)

    def along(self, directions: Tensor) -> None:
        """Sets the directions (R, D) of the latents that count, the goal's first.

        Raises:
            ValueError: they have another shape.
        """
        wanted = (self.spec.state_dim, self.spec.latent_dim)
        if self.readout is None or directions.shape != wanted:
            raise ValueError(
                f"directions must be (state_dim, latent_dim)={wanted}, state_dim "
                f"above 0, got "
                f"{tuple(directions.shape)}"
            )
        with torch.no_grad():
            self.readout.weight.copy_(directions)

    def state(self, latents: Tensor) -> Tensor:
        """Latents (..., D) -> what is looked at, (..., state_size).

        In training in float32 whatever the rest is in: a radius of success is small.
        """
        if self.readout is None:
            return latents
        if not self.training:
            return self.readout(latents)
        with torch.autocast(latents.device.type, enabled=False):
            return self.readout(latents)

    def goal(self, latents: Tensor) -> Tensor:
        """Latents (..., D) -> what is compared with a goal, (..., goal_size)."""
        return self.state(latents)[..., : self.spec.goal_size]

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Latents (..., D) and goals (..., D), broadcast -> what tells them apart.

        Returns:
            (..., state_size + 3 goal_size): the state, the goal, and along each
            direction of the goal what they differ by, with its sign and without.
        """
        state = self.state(latents)
        here = state[..., : self.spec.goal_size]
        there = self.goal(goals).expand_as(here)
        gap = there - here
        return torch.cat((state, there, gap, gap.abs()), dim=-1)

    @property
    def size(self) -> int:
        """Numbers that `forward` gives."""
        return self.spec.state_size + 3 * self.spec.goal_size

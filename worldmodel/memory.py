"""Things stay where they were seen last: latents that remember what is hidden now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class MemorySpec:
    """Architecture of a `Memory`.

    Attributes:
        latent_dim: width D of a latent.
        things: directions K of a latent that say where things are.
        hidden: width of the hidden layers.
    """

    latent_dim: int = 64
    things: int = 4
    hidden: int = 128

    def __post_init__(self) -> None:
        for name in ("latent_dim", "things", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )


class Memory(nn.Module):
    """Weighs what a picture tells of things against what was expected of them.

    A hand that hides a cube makes it seem to be elsewhere. A planner finds that sooner
    than anything: it moves the hand to where the cube seems to be at its goal. So what
    is believed of things, before each plan, is between what the picture tells and what
    the last belief and the action taken since let expect; how far, is learned from
    play, for each direction. All else in the latent is the picture's.
    """

    def __init__(self, spec: MemorySpec) -> None:
        super().__init__()
        self.spec = spec
        self.look = nn.Linear(spec.latent_dim, spec.things, bias=False)
        self.lift = nn.Linear(spec.things, spec.latent_dim, bias=False)
        self.look.requires_grad_(False)
        self.lift.requires_grad_(False)
        self.enter = nn.Linear(2 * spec.latent_dim + 2 * spec.things, spec.hidden)
        self.middle = nn.Linear(spec.hidden, spec.hidden)
        self.leave = nn.Linear(spec.hidden, spec.things)

    @classmethod
    @torch.no_grad()
    def of(cls, looked: Tensor, things: int, hidden: int = 128) -> Self:
        """An untrained memory of some directions of latents.

        Args:
            looked: (R, D) directions of latents that count; those after the first
                `things` shall stay as the picture tells them.
            things: how many of them, the first ones, say where things are.
            hidden: width of the hidden layers.
        """
        memory = cls(MemorySpec(looked.shape[1], things, hidden))
        memory.look.weight.copy_(looked[:things])
        lift = torch.linalg.pinv(looked.double())[:, :things]
        memory.lift.weight.copy_(lift)
        return memory

    def moved(self, latents: Tensor, places: Tensor) -> Tensor:
        """Latents (..., D), no farther than needed, to where things are at `places`.

        Args:
            latents: (..., D).
            places: (..., K) what the latents shall tell along `look`.
        """
        return latents + self.lift(places - self.look(latents))

    def forward(self, seen: Tensor, expected: Tensor) -> Tensor:
        """What is seen and what was expected, (..., D) each -> what is believed."""
        here = self.look(seen)
        gap = self.look(expected) - here
        hidden = F.gelu(self.enter(torch.cat((seen, expected, gap, gap.abs()), dim=-1)))
        hidden = F.gelu(hidden + self.middle(hidden))
        trust = torch.sigmoid(self.leave(hidden))
        return self.moved(seen, here + trust * gap)

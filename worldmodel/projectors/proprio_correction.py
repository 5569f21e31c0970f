"""Latents that agree with what the robot feels, where it is there to feel it."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn


class ProprioCorrection(nn.Module):
    """Corrects latents by proprio: the picture says the rest.

    A latent tells proprio linearly, to within what can be seen. A robot measures its
    own joints far better. So the latent is moved, no further than needed, to where it
    tells just what was measured, along directions that leave alone what it tells of
    other things. A goal picture comes without proprio; there the proprio estimator
    says it.

    Args:
        latent_dim: width D of a latent.
        size: leading dimensions S of proprio that count.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, latent_dim: int, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.tell = nn.Linear(latent_dim, size)
        self.lift = nn.Linear(size, latent_dim, bias=False)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    @classmethod
    @torch.no_grad()
    def of(
        cls, tell: nn.Linear, mean: Tensor, std: Tensor, others: Tensor | None = None
    ) -> Self:
        """A correction from a read-out.

        Args:
            tell: latents (D) -> standardised proprio (S).
            mean: (S,) of proprio.
            std: (S,) of proprio; infinite where it never changes.
            others: (K, D) directions that shall stay as they are.
        """
        size, dim = tell.weight.shape
        proprio_correction = cls(dim, size)
        proprio_correction.tell.load_state_dict(tell.state_dict())
        kept = torch.zeros(0, dim) if others is None else others
        proprio_correction.lift.weight.copy_(minimal_lift(tell.weight, kept))
        proprio_correction.mean.copy_(mean)
        proprio_correction.std.copy_(std)
        return proprio_correction.requires_grad_(False)

    def telling(self, latents: Tensor, felt: Tensor) -> Tensor:
        """Latents (..., D) moved to where they tell `felt` (..., S), standardised."""
        return latents + self.lift(felt - self.tell(latents))

    def forward(self, latents: Tensor, proprio: Tensor) -> Tensor:
        """Latents (..., D) and raw proprio (..., at least S) -> latents (..., D)."""
        felt = (proprio[..., : len(self.mean)] - self.mean) / self.std
        return self.telling(latents, felt)


@torch.no_grad()
def minimal_lift(moved: Tensor, kept: Tensor) -> Tensor:
    """What to add to a latent, of least norm, to change what it tells by one.

    Args:
        moved: (K, D) directions of latents along which they shall tell something else.
        kept: (R, D) directions along which they shall tell what they told; R may be 0.

    Returns:
        (D, K) by the pseudo-inverse: `latent + lift @ change` tells `change` more along
        `moved`, and along `kept` what it told before.
    """
    rows = torch.cat((kept.to(moved), moved)).double()
    return torch.linalg.pinv(rows)[:, len(kept) :].to(moved)

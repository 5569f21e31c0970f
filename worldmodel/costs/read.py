"""How differently do two latents read? Along a few directions that have a meaning."""

from __future__ import annotations

from torch import Tensor, nn


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

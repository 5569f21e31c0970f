"""How differently would the robot feel? Read linearly from two latents."""

from __future__ import annotations

from torch import Tensor, nn


class FeltDistance(nn.Module):
    """Mean squared difference of standardised proprio, as latents tell it, at least 0.

    A goal picture has no proprio, but its latent tells what the robot would feel
    there, where latents were trained to (`DynamicsRecipe.proprio`). Beside the whole
    latent's distance, this one says plainly where the gripper is.

    Args:
        latent_dim: width D of a latent.
        size: leading dimensions S of proprio that are compared.
    """

    def __init__(self, latent_dim: int, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.read = nn.Linear(latent_dim, size, bias=False)

    def forward(self, latents: Tensor, goals: Tensor) -> Tensor:
        """Latents (..., D) and goals (..., D), broadcast -> (...)."""
        return self.read(latents - goals).square().mean(-1)

"""From an encoder's patch tokens to the few latents that planning rolls out."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class CompressorSpec:
    """Architecture of a `Compressor`.

    Attributes:
        patches: tokens per frame that come in, P.
        token_dim: their width.
        reduced: width that each token keeps before all are joined.
        hidden: width of the hidden layer.
        dim: width D of the planning latent that comes out.
    """

    patches: int = 64
    token_dim: int = 128
    reduced: int = 32
    hidden: int = 512
    dim: int = 64

    def __post_init__(self) -> None:
        for name in ("patches", "token_dim", "reduced", "hidden", "dim"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )


class Compressor(nn.Module):
    """Tokens (..., P, token_dim) -> planning latent (..., D).

    Each place of the picture has weights of its own, so that where a token stands
    is not lost as it would be in a mean over tokens.
    """

    def __init__(self, spec: CompressorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.reduce = nn.Linear(spec.token_dim, spec.reduced)
        self.expand = nn.Linear(spec.patches * spec.reduced, spec.hidden)
        self.contract = nn.Linear(spec.hidden, spec.dim)
        self.skip = nn.Linear(spec.patches * spec.reduced, spec.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (..., P, token_dim) -> (..., D)."""
        joined = self.reduce(tokens).flatten(-2)  # (..., P * reduced)
        return self.skip(joined) + self.contract(F.gelu(self.expand(joined)))

"""From an encoder's patch tokens to the few latents that planning rolls out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.encoders import EncoderSpec


@dataclass(frozen=True)
class ProjectorSpec:
    """Architecture of a `Projector`.

    Attributes:
        patches: tokens per frame that are of patches, the first ones.
        token_dim: width of a token.
        blob_dim: numbers in the tokens after those, of colour blobs; 0 for none.
        reduced: width that each patch's token keeps before all are joined.
        hidden: width of the hidden layers.
        dim: width D of the planning latent that comes out.
    """

    patches: int = 64
    token_dim: int = 128
    blob_dim: int = 0
    reduced: int = 32
    hidden: int = 512
    dim: int = 64

    def __post_init__(self) -> None:
        for name in ("patches", "token_dim", "reduced", "hidden", "dim"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.blob_dim < 0:
            raise ValueError(f"blob_dim must be at least 0, got {self.blob_dim}")

    @classmethod
    def of(cls, encoder: EncoderSpec, dim: int) -> Self:
        """From an encoder's tokens to a latent of width `dim`."""
        return cls(encoder.patches, encoder.dim, encoder.blob_dim, dim=dim)

    def require(self, patches: int, token_dim: int, blob_dim: int) -> None:
        """Raises ValueError unless it takes what an encoder gives."""
        for name, wanted in (
            ("patches", patches),
            ("token_dim", token_dim),
            ("blob_dim", blob_dim),
        ):
            if getattr(self, name) != wanted:
                raise ValueError(
                    f"projector.{name} must be {wanted}, as the encoder gives, got "
                    f"{getattr(self, name)}"
                )


class Projector(nn.Module):
    """Tokens (..., P, token_dim) -> planning latent (..., D).

    Each place of the picture has weights of its own, so that where a token stands
    is not lost as it would be in a mean over tokens.
    """

    def __init__(self, spec: ProjectorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.reduce = nn.Linear(spec.token_dim, spec.reduced)
        joined = spec.patches * spec.reduced + spec.blob_dim
        self.expand = nn.Linear(joined, spec.hidden)
        self.middle = nn.Linear(spec.hidden, spec.hidden)
        self.contract = nn.Linear(spec.hidden, spec.dim)
        self.skip = nn.Linear(joined, spec.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (..., P, token_dim) -> (..., D)."""
        patches = self.reduce(tokens[..., : self.spec.patches, :]).flatten(-2)
        told = tokens[..., self.spec.patches :, :].flatten(-2)
        joined = torch.cat(
            (patches, told[..., : self.spec.blob_dim].to(patches)), dim=-1
        )
        hidden = F.gelu(self.middle(F.gelu(self.expand(joined))))
        return self.skip(joined) + self.contract(hidden)

"""How far apart in time two moments are, learned by contrast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TINY = 1e-4  # keeps the root's gradient finite


class TemporalContrast(nn.Module):
    """Features of a latent in which moments that follow each other are close.

    Each moment must find the one that followed it among those of other episodes:
    InfoNCE (van den Oord et al. 2018), the score being the negative distance of two
    linear features. With positives a geometric number of steps later, that distance
    learns to be a temporal one (contrastive reinforcement learning, Eysenbach et al.
    2022). What actions rarely change, such as where things lie, tells moments apart
    best, so the features hold that above all.

    Args:
        dim: width D of a latent.
        features: how many.
    """

    def __init__(self, dim: int, features: int) -> None:
        super().__init__()
        self.features = nn.Linear(dim, features, bias=False)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (..., D) -> features (..., K), float32."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.features(latents.float())

    def loss(self, now: Tensor, later: Tensor, episodes: Tensor) -> Tensor:
        """InfoNCE in both directions, a scalar.

        Args:
            now: latents (B, D).
            later: latents (B, D) of the same episodes, at the same time or later.
            episodes: (B,) int64; other pairs of one episode are no negatives.
        """
        near = -distances(self(now), self(later))
        same = torch.arange(len(now), device=now.device)
        left_out = (episodes[:, None] == episodes) & (same[:, None] != same)
        near = near.masked_fill(left_out, float("-inf"))
        return 0.5 * (F.cross_entropy(near, same) + F.cross_entropy(near.T, same))


def distances(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean distances (B, C) of features (B, K) and (C, K)."""
    squares = one.square().sum(-1)[:, None] + other.square().sum(-1)
    return (squares - 2 * one @ other.T).clamp(min=0).add(_TINY).sqrt()

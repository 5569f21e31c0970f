"""How far predictions are off on ordinary play, by which surprise is measured."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn


class ErrorCovariance(nn.Module):
    """Squared Mahalanobis distance of prediction errors (..., D), over D -> (...).

    Latents are hard to predict along some directions and easy along others. An error of
    a size that play has every day along its own direction counts 1; one that is as
    large along a direction that is always predicted well counts far more.

    Args:
        latent_dim: width D of a latent.
    """

    whiten: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("whiten", torch.eye(latent_dim))

    @classmethod
    @torch.no_grad()
    def of(cls, errors: Tensor) -> Self:
        """From errors (N, D) on ordinary play, of which the mean is then 1.

        They are taken about zero, not about their mean: a prediction that is always off
        by the same is off. One more error, as large along every direction, is added, so
        that few of them or a direction without any give a covariance, too.

        Raises:
            ValueError: there are none, or all are zero.
        """
        count, dim = errors.shape
        seen = errors.detach().cpu().double()
        total = seen.square().sum() / max(count, 1)
        if not total > 0:
            raise ValueError(f"no errors to measure: {count} of them, all zero")
        one = torch.eye(dim, dtype=torch.float64) * (total / dim)
        covariance = (seen.T @ seen + one) / (count + 1)
        made = cls(dim)
        lower = torch.linalg.cholesky(covariance)
        made.whiten.copy_(torch.linalg.inv(lower))
        return made.to(errors.device)

    def forward(self, errors: Tensor) -> Tensor:
        """Errors (..., D) -> (...), 1 on the average of ordinary play."""
        return (errors @ self.whiten.T).square().mean(-1)

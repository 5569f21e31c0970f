"""Numbers that show a collapse of latents which the loss hides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LatentStats:
    """Collapse watch of a batch of latents, averaged over positions.

    Attributes:
        effective_rank: in [1, min(n - 1, D)].
        std: mean over dimensions of the standard deviation over samples.
        std_min: that of the least varying dimension.
    """

    effective_rank: float
    std: float
    std_min: float


def effective_rank(latents: Tensor) -> Tensor:
    """Gives exp(entropy) of the normalised singular values of centred latents.

    Roy & Vetterli 2007.

    Args:
        latents: (..., n, D), n samples.

    Returns:
        (...,) in [1, min(n - 1, D)]; 0 where all samples are equal.
    """
    centred = latents.double() - latents.double().mean(-2, keepdim=True)
    singular = torch.linalg.svdvals(centred)
    total = singular.sum(-1, keepdim=True)
    share = singular / total.clamp(min=torch.finfo(torch.float64).tiny)
    rank = torch.special.entr(share).sum(-1).exp()
    scale = latents.double().abs().amax(dim=(-2, -1))
    noise = torch.finfo(latents.dtype).eps * scale * latents.shape[-2]
    return torch.where(total.squeeze(-1) > noise, rank, 0.0)


@torch.no_grad()
def latent_stats(latents: Tensor) -> LatentStats:
    """Stats of latents (n, P, D), n samples at each of P positions (or (n, D)).

    Of latents that are not finite they are nan.
    """
    if latents.dim() not in (2, 3) or latents.shape[0] < 2:
        raise ValueError(
            f"latents must be (n, P, D) or (n, D) with n at least 2, "
            f"got {tuple(latents.shape)}"
        )
    if not latents.isfinite().all():
        return LatentStats(math.nan, math.nan, math.nan)
    per_position = latents[:, None] if latents.dim() == 2 else latents
    per_position = per_position.float().transpose(0, 1)  # (P, n, D)
    std = per_position.std(dim=1)
    return LatentStats(
        effective_rank=effective_rank(per_position).mean().item(),
        std=std.mean().item(),
        std_min=std.amin(dim=1).mean().item(),
    )

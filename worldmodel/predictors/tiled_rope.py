"""V-JEPA 2's tiled rotary positions, with the dimensions of a head in halves.

The first dimensions of all pairs stand before the second ones (`in_halves`), which
changes no score where queries and keys do it alike, and is faster.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from worldmodel.encoders.rope import tiled_angles


class Turn(NamedTuple):
    """Cosines and sines (tokens, head_dim), in halves."""

    cos: Tensor
    sin: Tensor


def tiled_turn(positions: Tensor, head_dim: int) -> Turn:
    """Gives the turn of tokens at positions (tokens, 3): time, height, width.

    Args:
        positions: numbers of patches and frames.
        head_dim: width of one attention head, even and at least 6.
    """
    angles = tiled_angles(positions, head_dim)
    angles = angles[:, in_halves(head_dim, positions.device)]
    return Turn(angles.cos(), angles.sin())


def turned(x: Tensor, by: Turn) -> Tensor:
    """Gives heads x (rows, tokens, ..., head_dim), in halves, turned."""
    missing = x.dim() - 3  # axes between tokens and head_dim
    shape = (x.shape[1],) + (1,) * missing + (x.shape[-1],)
    cos_first, cos_second = by.cos.view(shape).to(x.dtype).chunk(2, dim=-1)
    sin_first, sin_second = by.sin.view(shape).to(x.dtype).chunk(2, dim=-1)
    first, second = x.chunk(2, dim=-1)
    return torch.cat(
        (
            first * cos_first - second * sin_first,
            second * cos_second + first * sin_second,
        ),
        dim=-1,
    )


def in_halves(head_dim: int, device: torch.device | None = None) -> Tensor:
    """Gives where each dimension of a head comes from: (head_dim,) int64."""
    return torch.arange(head_dim, device=device).view(-1, 2).T.flatten()

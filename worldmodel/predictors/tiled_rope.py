"""Rotary positions as V-JEPA 2's weights were trained with them.

A head's dimensions come in pairs of neighbours, a third of them for each of time,
height and width; what is left over is not turned. The published sines and cosines are
tiled (frequencies 0, 1, …, n - 1, 0, 1, …) where a rotation needs each twice in a row,
so the two dimensions of a pair turn by different angles. It is no rotation, and
attention depends on positions themselves, not on their differences alone. Weights
trained with it need it (Assran et al. 2025, and its code).

Here the first dimensions of all pairs stand before the second ones (`in_halves`), which
changes no score where queries and keys do it alike, and is faster.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

AXES = 3
THETA = 10000.0


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
    pairs = head_dim // 2 // AXES
    steps = torch.arange(pairs, device=positions.device, dtype=torch.float32)
    frequencies = (THETA ** (-steps / pairs)).repeat(2)
    angles = (positions[..., None].float() * frequencies).flatten(-2)
    angles = F.pad(angles, (0, head_dim - angles.shape[-1]))
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

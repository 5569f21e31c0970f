"""Rotary positions over time, height and width.

The pairs of a head's dimensions are split in three equal parts, one per axis, as
in V-JEPA 2 (Assran et al. 2025); pairs left over are not rotated. Attention then
depends on differences of positions only, and positions are passed explicitly, so
that any subset of tokens can be encoded. `tiled_angles` alone is otherwise: it is what
V-JEPA 2's published weights need, as those of V-JEPA 2.1 need `paired_angles`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

AXES = 3
PUBLISHED_THETA = 10000.0  # of V-JEPA 2's weights
THETA = 100.0  # wavelengths from 2 pi to about 250 patches: grids here are small


class Grid(NamedTuple):
    """Number of tokens along time, height and width."""

    time: int
    height: int
    width: int

    @property
    def patches(self) -> int:
        """Tokens of one tubelet, P."""
        return self.height * self.width

    @property
    def tokens(self) -> int:
        """Tokens of the whole clip."""
        return self.time * self.patches


class Rotation(NamedTuple):
    """Cosines and sines (..., tokens, pairs), one pair per two head dimensions."""

    cos: Tensor
    sin: Tensor


def grid_positions(grid: Grid, device: torch.device | None = None) -> Tensor:
    """Positions (tokens, 3) int64 of a clip's tokens, time slowest, width fastest."""
    axes = [torch.arange(size, device=device) for size in grid]
    return torch.cartesian_prod(*axes).view(-1, AXES)


def rotation(positions: Tensor, head_dim: int, theta: float = THETA) -> Rotation:
    """Gives the rotation of tokens at integer positions.

    Args:
        positions: (..., tokens, 3) integers (time, height, width).
        head_dim: width of one attention head, even and at least 6.
        theta: the longest wavelength is about 2 pi theta tokens.

    Returns:
        Cosines and sines (..., tokens, head_dim / 2), float32.
    """
    if head_dim % 2 or head_dim < 2 * AXES:
        raise ValueError(f"head_dim must be even and at least 6, got {head_dim}")
    if positions.shape[-1] != AXES:
        raise ValueError(
            f"positions must be (..., tokens, 3), got {tuple(positions.shape)}"
        )
    per_axis = head_dim // 2 // AXES
    steps = torch.arange(per_axis, device=positions.device, dtype=torch.float32)
    frequencies = theta ** (-steps / per_axis)
    angles = positions[..., None].float() * frequencies  # (..., tokens, 3, per_axis)
    angles = angles.flatten(-2)
    rest = head_dim // 2 - angles.shape[-1]
    angles = torch.nn.functional.pad(angles, (0, rest))
    return Rotation(angles.cos(), angles.sin())


@lru_cache(maxsize=64)
def grid_rotation(
    grid: Grid, head_dim: int, theta: float, device: torch.device
) -> Rotation:
    """Rotation (tokens, head_dim / 2) of a whole grid, computed once and kept."""
    with torch.inference_mode(False):  # a kept inference tensor would break training
        return rotation(grid_positions(grid, device), head_dim, theta)


def select(whole: Rotation, keep: Tensor | None) -> Rotation:
    """Rotation (B, K, pairs) of the tokens `keep` (B, K) of a grid, all if None."""
    if keep is None:
        return whole
    return Rotation(whole.cos[keep], whole.sin[keep])


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Rotates heads x (B, tokens, ..., head_dim); pair i is dimensions (i, i + half).

    `by` is (tokens, pairs), shared by the batch, or (B, tokens, pairs).
    """
    missing = x.dim() - 2 - 1  # axes between tokens and head_dim
    shape = by.cos.shape[:-1] + (1,) * missing + by.cos.shape[-1:]
    cos = by.cos.view(shape).to(x.dtype)
    sin = by.sin.view(shape).to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def tiled_angles(positions: Tensor, head_dim: int) -> Tensor:
    """Angles (tokens, head_dim) of positions (tokens, 3), as V-JEPA 2 has it.

    A third of the pairs of neighbouring dimensions is for each of time, height and
    width; what is left over is not turned. The published sines and cosines are tiled
    (frequencies 0, 1, …, n - 1, 0, 1, …) where a rotation needs each twice in a row, so
    the two dimensions of a pair turn by different angles. It is no rotation: attention
    depends on positions themselves, not on their differences alone. Weights trained
    with it need it (Assran et al. 2025, and its code).
    """
    frequencies = _published(head_dim, positions.device).repeat(2)
    return _angles(positions, frequencies, head_dim)


def paired_angles(positions: Tensor, head_dim: int) -> Tensor:
    """Angles (tokens, head_dim) of positions (tokens, 3), as V-JEPA 2.1 has it.

    As `tiled_angles`, but each frequency stands twice in a row, so that it is a
    rotation of each pair of neighbours (facebookresearch/vjepa2, app/vjepa_2_1).
    """
    frequencies = _published(head_dim, positions.device).repeat_interleave(2)
    return _angles(positions, frequencies, head_dim)


def _published(head_dim: int, device: torch.device) -> Tensor:
    """Frequencies (n,) of the pairs of one axis, as all published weights have them."""
    pairs = head_dim // 2 // AXES
    steps = torch.arange(pairs, dtype=torch.float32, device=device) / pairs
    return 1.0 / PUBLISHED_THETA**steps


def _angles(positions: Tensor, frequencies: Tensor, head_dim: int) -> Tensor:
    """Angles (tokens, head_dim): an axis after the other, what is left over is 0."""
    angles = (positions[..., None].float() * frequencies).flatten(-2)
    return F.pad(angles, (0, head_dim - angles.shape[-1]))

"""V-JEPA 2's encoder: a video vision transformer with rotary positions.

Assran et al. 2025, "V-JEPA 2". Tensors have the names of the published .pt files. The
published rotation is kept: the angles of a head's pairs are those of its halves, so it
is no rotation in the strict sense, and the weights have learned with it. V-JEPA 2.1
(facebookresearch/vjepa2 at 16de6c8, app/vjepa_2_1) turns pairs, on the grid that it
began with, and adds what tells clips from pictures; its way of pictures is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.encoders.rope import (
    AXES,
    Grid,
    Rotation,
    grid_positions,
    paired_angles,
    tiled_angles,
)
from worldmodel.encoders.transformer import attend

CHANNELS = 3
EPSILON = 1e-6  # of the layer norms
BEGAN = 256  # side of the pictures that V-JEPA 2.1 began with [px]


@dataclass(frozen=True)
class VJEPA2Spec:
    """Architecture of a `VJEPA2`.

    Attributes:
        patch: side of a patch [px].
        tubelet: frames of a token.
        dim: width D of a token.
        depth: blocks.
        heads: of attention; D / heads is a multiple of 2 and at least 6.
        hidden: width of the layer inside a block's MLP.
        newer: whether it is V-JEPA 2.1's.
    """

    patch: int
    tubelet: int
    dim: int
    depth: int
    heads: int
    hidden: int
    newer: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "newer" and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        head_dim, rest = divmod(self.dim, self.heads)
        if rest or head_dim % 2 or head_dim < 2 * AXES:
            raise ValueError(
                f"dim / heads must be an even integer of at least {2 * AXES}, got "
                f"{self.dim} / {self.heads}"
            )


class VJEPA2(nn.Module):
    """Normalised clips (B, T, 3, height, width) -> tokens (B, T / tubelet * P, D).

    Tokens are ordered (time, height, width), P of each `tubelet` frames.
    """

    def __init__(self, spec: VJEPA2Spec) -> None:
        super().__init__()
        self.spec = spec
        self.patch_embed = PatchEmbed(spec)
        self.video_mod_embed = None
        if spec.newer:
            self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, spec.dim))
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(spec.dim, EPSILON)

    def forward(self, clips: Tensor) -> Tensor:
        """Tokens of clips.

        Raises:
            ValueError: the tubelet does not divide T, or the patch not a side.
        """
        grid, head_dim = self.grid(clips), self.spec.dim // self.spec.heads
        if self.spec.newer:
            began = BEGAN // self.spec.patch
            by = paired_rotation(grid, head_dim, began, clips.device)
        else:
            by = tiled_rotation(grid, head_dim, clips.device)
        x = self.patch_embed(clips)
        if self.video_mod_embed is not None:
            x = x + self.video_mod_embed
        for block in self.blocks:
            x = block(x, by)
        return self.norm(x)

    def grid(self, clips: Tensor) -> Grid:
        """Tokens along time, height and width of clips (B, T, 3, height, width)."""
        spec = self.spec
        if clips.dim() != 5 or clips.shape[2] != CHANNELS:
            raise ValueError(
                f"clips must be (B, T, {CHANNELS}, height, width), got "
                f"{tuple(clips.shape)}"
            )
        frames, _, height, width = clips.shape[1:]
        if frames < spec.tubelet or frames % spec.tubelet:
            raise ValueError(
                f"a clip must have a multiple of tubelet={spec.tubelet} frames, got "
                f"{frames}: repeat a frame, or leave some out"
            )
        for name, side in (("height", height), ("width", width)):
            least = spec.patch * (1 + spec.newer)  # whose grid is stretched
            if side < least or side % spec.patch:
                raise ValueError(
                    f"{name} must be a multiple of patch={spec.patch} pixels, of at "
                    f"least {least}, got {side}: resize or crop the frames first"
                )
        return Grid(frames // spec.tubelet, height // spec.patch, width // spec.patch)


class PatchEmbed(nn.Module):
    """Clips (B, T, 3, height, width) -> embedded patches (B, tokens, D)."""

    def __init__(self, spec: VJEPA2Spec) -> None:
        super().__init__()
        kernel = (spec.tubelet, spec.patch, spec.patch)
        self.proj = nn.Conv3d(CHANNELS, spec.dim, kernel, kernel)

    def forward(self, clips: Tensor) -> Tensor:
        tubelet, patch, _ = self.proj.kernel_size
        batch, time, channels, height, width = clips.shape
        cut = clips.reshape(
            *(batch, time // tubelet, tubelet, channels),
            *(height // patch, patch, width // patch, patch),
        )
        cut = cut.permute(0, 1, 4, 6, 3, 2, 5, 7)  # (B, t, h, w, 3, tubelet, p, p)
        squares = cut.flatten(4).flatten(1, 3)
        # What does not overlap is one matrix product.
        return F.linear(squares, self.proj.weight.flatten(1), self.proj.bias)


class Attention(nn.Module):
    """Self-attention of all tokens to all, (B, tokens, D) -> same shape."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, by: Rotation) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads)
        query, key, value = (part.transpose(1, 2) for part in qkv.unbind(2))
        mixed = attend(rotate_pairs(query, by), rotate_pairs(key, by), value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, dim))


class MLP(nn.Module):
    """(..., D) -> (..., D) through one wider layer."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)); (B, tokens, D) -> same shape."""

    def __init__(self, spec: VJEPA2Spec) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(spec.dim, EPSILON)
        self.attn = Attention(spec.dim, spec.heads)
        self.norm2 = nn.LayerNorm(spec.dim, EPSILON)
        self.mlp = MLP(spec.dim, spec.hidden)

    def forward(self, x: Tensor, by: Rotation) -> Tensor:
        x = x + self.attn(self.norm1(x), by)
        return x + self.mlp(self.norm2(x))


@lru_cache(maxsize=16)
def tiled_rotation(grid: Grid, head_dim: int, device: torch.device) -> Rotation:
    """Cosines and sines (tokens, head_dim) float32 of a grid, as published."""
    with torch.inference_mode(False):  # kept for whoever comes next
        angles = tiled_angles(grid_positions(grid, device), head_dim)
        return Rotation(angles.cos(), angles.sin())


@lru_cache(maxsize=16)
def paired_rotation(
    grid: Grid, head_dim: int, began: int, device: torch.device
) -> Rotation:
    """Cosines and sines (tokens, head_dim) float32 of a grid, as V-JEPA 2.1 has it.

    Height and width are stretched to a grid of `began` patches a side.
    """
    with torch.inference_mode(False):  # kept for whoever comes next
        sides = (1.0, (began - 1) / (grid.height - 1), (began - 1) / (grid.width - 1))
        positions = grid_positions(grid, device) * torch.tensor(sides, device=device)
        angles = paired_angles(positions, head_dim)
        return Rotation(angles.cos(), angles.sin())


def rotate_pairs(x: Tensor, by: Rotation) -> Tensor:
    """Turns pairs (2 i, 2 i + 1) of x (B, heads, tokens, head_dim), same shape."""
    cos, sin = by.cos.to(x.dtype), by.sin.to(x.dtype)
    turned = torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)
    return x * cos + turned * sin

"""From uint8 frames to one embedded token per patch and tubelet, without overlap."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 4  # pixels per side of a stem cell
CHANNELS = 3
PIXEL_MEAN = 127.5
PIXEL_STD = 64.0  # a power of two: normalised uint8 values are exact in bfloat16


def check_frames(frames: Tensor, height: int, width: int) -> None:
    """Raises if frames are not (B, T, height, width, 3) of finite pixel values.

    Pixels are uint8, or floating point on the same scale [0, 255].
    """
    expected = f"frames must be uint8 (B, T, {height}, {width}, 3)"
    if not isinstance(frames, Tensor):
        raise TypeError(f"{expected}, got {type(frames).__name__}")
    got = f"{str(frames.dtype).removeprefix('torch.')} {tuple(frames.shape)}"
    if frames.dim() != 5 or tuple(frames.shape[2:]) != (height, width, CHANNELS):
        raise ValueError(f"{expected}, got {got}")
    if frames.shape[0] == 0 or frames.shape[1] == 0:
        raise ValueError(f"{expected} with B, T at least 1, got {got}")
    if frames.dtype == torch.uint8:
        return
    if not frames.is_floating_point():
        raise TypeError(f"{expected} or floating point in [0, 255], got {got}")
    _check_float_pixels(frames, expected)


def _check_float_pixels(frames: Tensor, expected: str) -> None:
    low, high = (limit.item() for limit in torch.aminmax(frames.detach()))
    if not (low >= 0.0 and high <= 255.0):  # also false for NaN
        bad = int((~torch.isfinite(frames)).sum())
        raise ValueError(
            f"{expected} or floating point in [0, 255], got values in "
            f"[{low:g}, {high:g}] with {bad} not finite"
        )
    if 0.0 < high <= 1.0:
        raise ValueError(
            f"{expected} or floating point in [0, 255], got values in "
            f"[{low:g}, {high:g}]: multiply by 255"
        )


def patchify(frames: Tensor, patch: int, tubelet: int) -> Tensor:
    """Cuts frames (B, T, h, w, 3) into patches (B, tokens, cells, values), same dtype.

    Tokens are ordered (time, height, width); the cells of a patch are its CELL x CELL
    squares in rows, and the values of a cell are (tubelet, CELL, CELL, 3).
    """
    batch, time, height, width, channels = frames.shape
    rows, columns, side = height // patch, width // patch, patch // CELL
    cut = frames.reshape(
        *(batch, time // tubelet, tubelet),
        *(rows, side, CELL),
        *(columns, side, CELL * channels),
    )
    cut = cut.permute(0, 1, 3, 6, 4, 7, 2, 5, 8)
    tokens = (time // tubelet) * rows * columns
    return cut.reshape(batch, tokens, side * side, tubelet * CELL * CELL * channels)


class PatchStem(nn.Module):
    """Embeds each patch on its own: a linear layer per cell, GELU, one per patch.

    The same as a convolution of kernel = stride CELL, GELU, and one of kernel =
    stride patch / CELL (the stem of Touvron et al. 2022): no pixel of one patch
    reaches another, so a masked patch is really hidden.
    """

    def __init__(self, patch: int, tubelet: int, cell_dim: int, dim: int) -> None:
        super().__init__()
        self.cell = nn.Linear(tubelet * CELL * CELL * CHANNELS, cell_dim)
        self.patch = nn.Linear((patch // CELL) ** 2 * cell_dim, dim)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches (B, K, cells, values) of pixels in [0, 255] -> tokens (B, K, D)."""
        pixels = patches.to(self.cell.weight.dtype)
        pixels = (pixels - PIXEL_MEAN) / PIXEL_STD
        cells = F.gelu(self.cell(pixels))  # (B, K, cells, cell_dim)
        return self.patch(cells.flatten(-2))

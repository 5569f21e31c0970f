"""From uint8 frames to one embedded token per patch and tubelet."""

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


class ConvStem(nn.Module):
    """Embeds patches after a little mixing with their surroundings.

    Cells of CELL x CELL pixels are embedded, one residual 3 x 3 convolution mixes
    neighbours, and the cells of a patch become its token: convolutions early on make
    a small vision transformer learn faster (Xiao et al. 2021). What is to be hidden
    must be blanked in the frames before, see `blank`.
    """

    def __init__(self, patch: int, tubelet: int, cell_dim: int, dim: int) -> None:
        super().__init__()
        self.tubelet = tubelet
        self.cell = nn.Conv2d(tubelet * CHANNELS, cell_dim, CELL, CELL)
        self.norm = nn.GroupNorm(1, cell_dim)
        self.mix = nn.Conv2d(cell_dim, cell_dim, 3, padding=1)
        self.leave = nn.Conv2d(cell_dim, cell_dim, 1)
        self.patch = nn.Conv2d(cell_dim, dim, patch // CELL, patch // CELL)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, T, h, w, 3) in [0, 255] -> tokens (B, T / tubelet * P, D)."""
        batch, time, height, width, channels = frames.shape
        tubelets = time // self.tubelet
        pixels = (frames.to(self.cell.weight.dtype) - PIXEL_MEAN) / PIXEL_STD
        pixels = pixels.permute(0, 1, 4, 2, 3)
        stacked = pixels.reshape(
            batch * tubelets, self.tubelet * channels, height, width
        )
        stacked = stacked.contiguous(memory_format=torch.channels_last)
        cells = F.gelu(self.cell(stacked))
        cells = cells + self.leave(F.gelu(self.mix(self.norm(cells))))
        patches = self.patch(cells).flatten(2)  # (B tubelets, D, P)
        return patches.transpose(1, 2).reshape(batch, -1, patches.shape[1])


@torch.no_grad()
def redraw(stem: ConvStem, generator: torch.Generator) -> None:
    """Draws a stem's convolutions as torch does, but from a given generator."""
    for layer in stem.modules():
        if isinstance(layer, nn.Conv2d):
            limit = layer.weight[0].numel() ** -0.5
            for weight in layer.parameters(recurse=False):
                weight.uniform_(-limit, limit, generator=generator)


def blank(frames: Tensor, hidden: Tensor, patch: int, tubelet: int) -> Tensor:
    """Frames (B, T, h, w, 3) with the pixels of hidden tokens set to mid-grey.

    Args:
        frames: in [0, 255].
        hidden: bool (B, tokens), ordered (time, height, width).
        patch: pixels per side of a patch.
        tubelet: frames per tubelet.
    """
    batch, time, height, width, _ = frames.shape
    rows, columns = height // patch, width // patch
    grid = hidden.view(batch, time // tubelet, rows, columns)
    pixels = grid.repeat_interleave(tubelet, 1)
    pixels = pixels.repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    return frames.masked_fill(pixels[..., None], round(PIXEL_MEAN))

"""From uint8 frames to one embedded token per patch and tubelet.

Each also tells where in the whole picture a few learned features are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 4  # pixels per side of a stem cell
CHANNELS = 3
MID_GREY = 128
# A power of two: differences of uint8 values, divided by it, are exact in bfloat16.
PIXEL_STD = 64.0
_NUMBERS = 3  # of a point: its row, its column, and how much of its feature there is
_SHARPNESS = 4.0  # of the scores at the start


def check_frames(frames: Tensor, height: int, width: int) -> None:
    """Raises if frames are not (B, T, height, width, 3) of finite pixel values.

    Pixels are uint8, or floating point on the same scale [0, 255].
    """
    expected = f"frames must be uint8 (B, T, {height}, {width}, 3)"
    if not isinstance(frames, Tensor):
        raise ValueError(f"{expected}, got {type(frames).__name__}")
    got = f"{str(frames.dtype).removeprefix('torch.')} {tuple(frames.shape)}"
    if frames.dim() != 5 or tuple(frames.shape[2:]) != (height, width, CHANNELS):
        raise ValueError(f"{expected}, got {got}")
    if frames.shape[0] == 0 or frames.shape[1] == 0:
        raise ValueError(f"{expected} with B, T at least 1, got {got}")
    if frames.dtype == torch.uint8:
        return
    if not frames.is_floating_point():
        raise ValueError(f"{expected} or floating point in [0, 255], got {got}")
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


class FeaturePoints(nn.Module):
    """Cells of features (B, rows, columns, C) -> one embedding (B, D).

    Each point scores every cell, and its place is the mean over cells under the softmax
    of the scores (spatial softmax, Levine et al. 2016; feature points, Finn et al.
    2016). So a place is read to a fraction of a pixel from the first step on, which
    patches learn slowly.

    Args:
        cell_dim: width C of a cell.
        points: how many.
        dim: width D of the embedding.
    """

    def __init__(self, cell_dim: int, points: int, dim: int) -> None:
        super().__init__()
        if points < 1:
            raise ValueError(f"points must be at least 1, got {points}")
        self.score = nn.Linear(cell_dim, points)
        self.tell = nn.Linear(_NUMBERS * points, dim)

    def places(self, cells: Tensor) -> Tensor:
        """Row, column (each in [-1, 1]) and log amount of each point, (B, K, 3)."""
        rows, columns = cells.shape[1:3]
        scores = _SHARPNESS * self.score(cells).flatten(1, 2).float()  # (B, cells, K)
        shares = scores.softmax(dim=1).transpose(1, 2)
        grid = torch.cartesian_prod(
            torch.linspace(-1, 1, rows, device=cells.device),
            torch.linspace(-1, 1, columns, device=cells.device),
        )
        with torch.autocast(cells.device.type, enabled=False):
            where = shares @ grid  # (B, K, 2)
        amount = scores.logsumexp(dim=1) / _SHARPNESS
        return torch.cat((where, amount[..., None]), dim=-1)

    def forward(self, cells: Tensor) -> Tensor:
        """Same as `places`, embedded."""
        return self.tell(self.places(cells).flatten(1).to(cells.dtype))


class ConvStem(nn.Module):
    """Embeds patches after a little mixing with their surroundings.

    Cells of CELL x CELL pixels are embedded, one residual 3 x 3 convolution mixes
    neighbours, and the cells of a patch become its token: convolutions early on make
    a small vision transformer learn faster (Xiao et al. 2021). Where the whole picture
    has its `FeaturePoints` is added to every token of a tubelet. What is to be hidden
    must be blanked in the frames before, see `blank`.
    """

    def __init__(
        self, patch: int, tubelet: int, cell_dim: int, dim: int, points: int = 0
    ) -> None:
        super().__init__()
        self.tubelet = tubelet
        self.cell = nn.Conv2d(tubelet * CHANNELS, cell_dim, CELL, CELL)
        self.norm = nn.GroupNorm(1, cell_dim)
        self.mix = nn.Conv2d(cell_dim, cell_dim, 3, padding=1)
        self.leave = nn.Conv2d(cell_dim, cell_dim, 1)
        self.patch = nn.Conv2d(cell_dim, dim, patch // CELL, patch // CELL)
        self.points = FeaturePoints(cell_dim, points, dim) if points else None

    def forward(self, frames: Tensor, background: Tensor) -> Tensor:
        """Frames (B, T, h, w, 3) in [0, 255] -> tokens (B, T / tubelet * P, D).

        What counts is how they differ from the background picture (h, w, 3).
        """
        batch, time, height, width, channels = frames.shape
        dtype = self.cell.weight.dtype
        if torch.is_autocast_enabled(frames.device.type):
            dtype = torch.get_autocast_dtype(frames.device.type)
        pixels = (frames.to(dtype) - background.to(dtype)) / PIXEL_STD
        rows, columns = height // CELL, width // CELL
        # Squares that do not overlap are convolved faster as one matrix product.
        squares = pixels.view(
            *(batch * time // self.tubelet, self.tubelet),
            *(rows, CELL, columns, CELL, channels),
        ).permute(0, 2, 4, 1, 6, 3, 5)
        cells = F.gelu(_product(squares.flatten(3), self.cell))
        mixed = F.gelu(self.mix(self.norm(cells.permute(0, 3, 1, 2))))
        cells = cells + _product(mixed.permute(0, 2, 3, 1), self.leave)
        side = self.patch.kernel_size[0]
        squares = cells.view(
            len(cells), rows // side, side, columns // side, side, -1
        ).permute(0, 1, 3, 5, 2, 4)
        tokens = _product(squares.flatten(3), self.patch)  # (tubelets, h, w, D)
        if self.points is not None:
            tokens = tokens + self.points(cells)[:, None, None]
        return tokens.view(batch, -1, self.patch.out_channels)


def _product(squares: Tensor, layer: nn.Conv2d) -> Tensor:
    """What a convolution makes of each of its squares (..., channels h w)."""
    return F.linear(squares, layer.weight.flatten(1), layer.bias)


@torch.no_grad()
def redraw(stem: ConvStem, generator: torch.Generator) -> None:
    """Draws a stem's convolutions as torch does, but from a given generator."""
    for layer in stem.modules():
        if isinstance(layer, nn.Conv2d):
            limit = layer.weight[0].numel() ** -0.5
            for weight in layer.parameters(recurse=False):
                weight.uniform_(-limit, limit, generator=generator)


def blank(
    frames: Tensor, hidden: Tensor, background: Tensor, patch: int, tubelet: int
) -> Tensor:
    """Frames (B, T, h, w, 3) that look as background where tokens are hidden.

    Args:
        frames: in [0, 255].
        hidden: bool (B, tokens), ordered (time, height, width).
        background: the background picture (h, w, 3).
        patch: pixels per side of a patch.
        tubelet: frames per tubelet.
    """
    batch, time, height, width, _ = frames.shape
    rows, columns = height // patch, width // patch
    grid = hidden.view(batch, time // tubelet, rows, columns)
    pixels = grid.repeat_interleave(tubelet, 1)
    pixels = pixels.repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    return torch.where(pixels[..., None], background.to(frames.dtype), frames)

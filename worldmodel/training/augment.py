"""Pictures as another light, other colours or a moved camera would show them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from worldmodel.training.chance import uniform, whole_numbers
from worldmodel.training.distributed import share

_GREY = 128.0


@dataclass(frozen=True)
class Augment:
    """How training pictures are changed; all pictures of a window in the same way.

    Attributes:
        colour: share of windows whose colours change: hue turned by any angle,
            saturation, contrast and brightness by up to about a third.
        shift: share of windows that are moved.
        pixels: how far they are moved, at most, in each direction [px]; what comes into
            the picture there repeats its edge.
    """

    colour: float = 0.0
    shift: float = 0.0
    pixels: int = 4

    def __post_init__(self) -> None:
        for name in ("colour", "shift"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if self.pixels < 0:
            raise ValueError(f"pixels must be at least 0, got {self.pixels}")

    def draw(self, count: int, generator: torch.Generator) -> Changes:
        """Draws how so many windows are changed.

        Args:
            count: windows B.
            generator: source of randomness; they are on its device.
        """
        moves = matrices = offsets = None
        if self.shift and self.pixels:
            moved = uniform(count, 1, generator=generator)
            by = whole_numbers(
                -self.pixels, self.pixels + 1, count, 2, generator=generator
            )
            moves = (moved < self.shift) * by
        if self.colour:
            matrices, offsets = self._colours(count, generator)
        return Changes(moves, matrices, offsets)

    def _colours(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Matrices (B, 3, 3) that pixels are multiplied with, and offsets (B, 3)."""
        device = generator.device
        draw = uniform(count, 5, generator=generator)
        changed = (draw[:, 0] < self.colour).float()[:, None]
        hue = (2 * draw[:, 1] - 1) * math.pi
        saturation = 0.6 + 0.8 * draw[:, 2]
        contrast = 0.7 + 0.6 * draw[:, 3]
        offset = (80 * (draw[:, 4] - 0.5))[:, None].expand(-1, 3)
        grey = torch.full((3, 3), 1 / 3, device=device)
        cross = _cross(device)
        keep = torch.eye(3, device=device)
        turn = (
            hue.cos()[:, None, None] * (keep - grey) + hue.sin()[:, None, None] * cross
        )
        matrix = contrast[:, None, None] * (grey + saturation[:, None, None] * turn)
        matrix = keep + changed[..., None] * (matrix - keep)
        return matrix.transpose(1, 2).contiguous(), changed * offset


@dataclass(frozen=True)
class Changes:
    """How each of B windows of pictures is changed; None where none is.

    Attributes:
        moves: (B, 2) int64, down and across [px].
        matrices: (B, 3, 3) that colours are multiplied with.
        offsets: (B, 3) that are added to them then.
    """

    moves: Tensor | None
    matrices: Tensor | None
    offsets: Tensor | None

    def share(self) -> Changes:
        """Those of this process's windows."""
        parts = (self.moves, self.matrices, self.offsets)
        return Changes(*(None if part is None else share(part) for part in parts))

    def gather(self, frames: Tensor, rows: Tensor) -> Tensor:
        """Takes windows of pictures and changes them.

        Args:
            frames: (N, height, width, 3) uint8, on any device.
            rows: (B, T) int64.

        Returns:
            (B, T, height, width, 3) uint8, on the device of `frames`.
        """
        picked = self._moved(frames, rows.to(frames.device))
        if self.matrices is None or self.offsets is None:
            return picked
        matrices = self.matrices.to(frames.device)
        offsets = self.offsets.to(frames.device)
        pixels = picked.flatten(1, 3).float() - _GREY  # (B, T h w, 3)
        with torch.autocast(frames.device.type, enabled=False):
            pixels = torch.baddbmm(offsets[:, None], pixels, matrices)
        return (pixels + _GREY).round_().clamp_(0, 255).to(torch.uint8).view_as(picked)

    def _moved(self, frames: Tensor, rows: Tensor) -> Tensor:
        if self.moves is None:
            return frames[rows]
        by, (height, width) = self.moves.to(frames.device), frames.shape[1:3]
        down = torch.arange(height, device=frames.device) + by[:, :1]
        across = torch.arange(width, device=frames.device) + by[:, 1:]
        down, across = down.clamp(0, height - 1), across.clamp(0, width - 1)
        return frames[
            rows[:, :, None, None], down[:, None, :, None], across[:, None, None, :]
        ]


@lru_cache(maxsize=8)
def _cross(device: torch.device) -> Tensor:
    """Turns colours about grey; kept, so that a GPU need not wait for it."""
    rows = [[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]
    return torch.tensor(rows, device=device) / math.sqrt(3)

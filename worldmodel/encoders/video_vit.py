"""A small video vision transformer with tubelets and rotary positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.encoders.blobs import NUMBERS, ColorBlobs
from worldmodel.encoders.patches import (
    CELL,
    CHANNELS,
    MID_GREY,
    ConvStem,
    blank,
    check_frames,
    redraw,
)
from worldmodel.encoders.rope import THETA, Grid, grid_rotation, select
from worldmodel.encoders.transformer import Transformer, initialise

MOST_WIDTH = 16_384  # of a token
MOST_PLACES = 1024  # feature points or blobs: what each adds is not in the weights


@dataclass(frozen=True)
class VideoViTSpec:
    """Architecture of a `VideoViT`; sizes in pixels, `tubelet` in frames.

    `points` are the feature points of the stem; `num_colors` and `num_slots` the colour
    blobs and object slots whose places stand in tokens of their own; 0 for none.
    """

    height: int = 96
    width: int = 96
    patch: int = 12
    tubelet: int = 2
    dim: int = 128
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 4.0
    cell_dim: int = 48
    points: int = 0
    num_colors: int = 0
    num_slots: int = 0
    theta: float = THETA

    def __post_init__(self) -> None:
        for name in ("height", "width", "patch", "tubelet", "dim", "depth", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.dim > MOST_WIDTH:
            raise ValueError(f"dim must be at most {MOST_WIDTH}, got {self.dim}")
        for name in ("points", "num_colors", "num_slots"):
            if not 0 <= getattr(self, name) <= MOST_PLACES:
                raise ValueError(
                    f"{name} must be in [0, {MOST_PLACES}], got {getattr(self, name)}"
                )
        for name in ("mlp_ratio", "theta"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be positive and finite, got {getattr(self, name)}"
                )
        if self.num_slots and not self.num_colors:
            raise ValueError(
                f"num_slots={self.num_slots} need num_colors above 0, got 0"
            )
        if self.patch % CELL:
            raise ValueError(f"patch must be a multiple of {CELL}, got {self.patch}")
        for name in ("height", "width"):
            if getattr(self, name) % self.patch:
                raise ValueError(
                    f"{name} must be a multiple of patch={self.patch}, "
                    f"got {getattr(self, name)}"
                )
        head_dim, rest = divmod(self.dim, self.heads)
        if rest or head_dim % 2 or head_dim < 6:
            raise ValueError(
                f"dim / heads must be an even integer of at least 6, "
                f"got {self.dim} / {self.heads}"
            )

    @property
    def patches(self) -> int:
        """Patches per frame."""
        return (self.height // self.patch) * (self.width // self.patch)

    @property
    def num_blobs(self) -> int:
        """Colour blobs, those of object slots among them."""
        return self.num_colors + self.num_slots

    @property
    def blob_dim(self) -> int:
        """Numbers per frame that the colour blobs tell."""
        return self.num_blobs * NUMBERS

    @property
    def blob_tokens(self) -> int:
        """Tokens per frame that hold them."""
        return -(-self.blob_dim // self.dim)

    @property
    def latents(self) -> int:
        """Tokens per frame, P: those of the patches, then those of the blobs."""
        return self.patches + self.blob_tokens

    def grid(self, frames: int) -> Grid:
        """Token grid of a clip of so many frames."""
        if frames % self.tubelet or frames < 1:
            raise ValueError(
                f"a clip must have a multiple of tubelet={self.tubelet} frames, "
                f"got {frames}"
            )
        rows, columns = self.height // self.patch, self.width // self.patch
        return Grid(frames // self.tubelet, rows, columns)


class VideoViT(nn.Module):
    """Encodes clips into tokens; every token of a clip attends to every other.

    It sees how pictures differ from `background` (height, width, 3) uint8, which is
    mid-grey until `set_background` says what the camera usually shows.
    """

    background: Tensor

    def __init__(
        self, spec: VideoViTSpec, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.stem = ConvStem(
            spec.patch, spec.tubelet, spec.cell_dim, spec.dim, spec.points
        )
        self.blobs = None
        if spec.num_colors:
            self.blobs = ColorBlobs(spec.num_colors, spec.num_slots)
        self.transformer = Transformer(spec.dim, spec.depth, spec.heads, spec.mlp_ratio)
        grey = torch.full((spec.height, spec.width, CHANNELS), MID_GREY)
        self.register_buffer("background", grey.to(torch.uint8))
        initialise(self, generator)
        if generator is not None:
            redraw(self.stem, generator)

    def set_background(self, picture: Tensor) -> None:
        """Sets what is seen as nothing new, e.g. the median of many frames.

        Args:
            picture: (height, width, 3) uint8.

        Raises:
            ValueError: it has another shape or type.
        """
        if picture.shape != self.background.shape or picture.dtype != torch.uint8:
            raise ValueError(
                f"the background picture must be uint8 "
                f"{tuple(self.background.shape)}, got "
                f"{str(picture.dtype).removeprefix('torch.')} {tuple(picture.shape)}"
            )
        self.background.copy_(picture)

    def tokens(self, frames: Tensor, keep: Tensor | None = None) -> Tensor:
        """Encodes clips, or only some of their tokens, which then see nothing else.

        Args:
            frames: (B, T, height, width, 3) uint8, or floating point in [0, 255]; T a
                multiple of the tubelet.
            keep: (B, K) int64 indices into the clip's tokens, ordered (time, height,
                width), or None for all.

        Returns:
            Tokens (B, K, D), or (B, tokens, D) if keep is None.
        """
        spec = self.spec
        check_frames(frames, spec.height, spec.width)
        grid = spec.grid(frames.shape[1])
        if keep is None:
            return self._transform(self.stem(frames, self.background), grid, None)
        _check_keep(keep, frames.shape[0])
        hidden = torch.ones(
            (len(keep), grid.tokens), dtype=torch.bool, device=frames.device
        )
        hidden.scatter_(1, keep, False)
        shown = blank(frames, hidden, self.background, spec.patch, spec.tubelet)
        seen = self.stem(shown, self.background)
        return self._transform(_take(seen, keep), grid, keep)

    def forward(self, frames: Tensor, keep: Tensor | None = None) -> Tensor:
        """Same as `tokens`."""
        return self.tokens(frames, keep)

    def newest(self, clips: Tensor) -> Tensor:
        """Encodes the last frame of each clip, with the frames just before it.

        Args:
            clips: (B, tubelet, height, width, 3) uint8, or floating point in [0, 255].

        Returns:
            (B, P, D): the tokens of the clip, then what colour blobs tell of its last
            frame, filled up with zeros.
        """
        tokens = self.tokens(clips)
        if self.blobs is None:
            return tokens
        told = self.blobs(clips[:, -1], self.background).flatten(1)
        room = self.spec.blob_tokens * self.spec.dim
        told = F.pad(told, (0, room - told.shape[1]))
        told = told.view(len(told), self.spec.blob_tokens, self.spec.dim)
        return torch.cat((tokens, told.to(tokens.dtype)), dim=1)

    def encode(self, frames: Tensor, chunk: int = 64) -> Tensor:
        """Encodes each frame with the frames just before it.

        Args:
            frames: (B, T, height, width, 3) uint8, or floating point in [0, 255].
            chunk: clips encoded at once, which bounds memory.

        Returns:
            Latents (B, T, P, D). That of frame t is computed from the clip of the last
            `tubelet` frames ending at t; before the first frame, the first repeats.
        """
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {chunk}")
        spec = self.spec
        check_frames(frames, spec.height, spec.width)
        batch, time = frames.shape[:2]
        flat = frames.flatten(0, 1)  # (B T, height, width, 3)
        window = clip_windows(batch, time, spec.tubelet, frames.device)
        latents = [self.newest(flat[rows]) for rows in window.split(chunk)]
        return torch.cat(latents).unflatten(0, (batch, time))

    def _transform(self, tokens: Tensor, grid: Grid, keep: Tensor | None) -> Tensor:
        whole = grid_rotation(
            grid, self.transformer.head_dim, self.spec.theta, tokens.device
        )
        return self.transformer(tokens, select(whole, keep))


def clip_windows(
    batch: int, time: int, tubelet: int, device: torch.device | None = None
) -> Tensor:
    """Rows (B T, tubelet) of flattened frames (B T, ...) that end at each frame."""
    ends = torch.arange(time, device=device)
    offsets = torch.arange(1 - tubelet, 1, device=device)
    window = (ends[:, None] + offsets).clamp(min=0)  # (T, tubelet)
    starts = torch.arange(batch, device=device) * time
    return (starts[:, None, None] + window).flatten(0, 1)


def _check_keep(keep: Tensor, batch: int) -> None:
    if keep.dim() != 2 or keep.shape[0] != batch or keep.dtype != torch.int64:
        raise ValueError(
            f"keep must be int64 (B={batch}, K), got "
            f"{str(keep.dtype).removeprefix('torch.')} {tuple(keep.shape)}"
        )


def _take(tokens: Tensor, keep: Tensor) -> Tensor:
    """Tokens (B, N, D) at keep (B, K) -> (B, K, D)."""
    rows = torch.arange(keep.shape[0], device=keep.device)[:, None]
    return tokens[rows, keep]

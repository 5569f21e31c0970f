"""Colour blobs: a few colours, and where in a picture each of them is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 32  # per channel, in the table from colour to blobs
_STEP = 256 // LEVELS
_SPREAD = 800.0  # squared difference of colours [level^2] at which a share falls to 1/e
_SAME, _OTHER = 16, 48  # largest channel difference: as background below, unusual above
SURE = 3.0  # pixels at which a place is half trusted
_ROOT, _WIDTH = 0.2, 10.0  # bring amounts and widths to the size of places
_LEAST = 0.02  # added to standard deviations: what never varies stays small
NUMBERS = 7  # of a blob in a picture


class ColorBlobs(nn.Module):
    """Where the colours of a dataset's things are in a picture; nothing is learned.

    The colours are cluster centres (see `training.blobs.find_blobs`), as in bags of
    colour blobs (Sivic & Zisserman 2003), but each with its place: the mean and spread
    of its pixels' rows and columns, which tell a place to a fraction of a pixel.
    Features from clusters, before any gradient, are as in Coates & Ng (2012).

    The first blobs are a colour each. After them come object slots: colours that are
    always found together, each counted as one (see `training.object_slots`).

    Args:
        colours: how many.
        slots: how many; K is the sum of both.
    """

    colours: Tensor
    members: Tensor
    mean: Tensor
    std: Tensor
    table: Tensor

    def __init__(self, colours: int, slots: int = 0) -> None:
        super().__init__()
        if colours < 1:
            raise ValueError(f"colours must be at least 1, got {colours}")
        if slots < 0:
            raise ValueError(f"slots must be at least 0, got {slots}")
        count = colours + slots
        self.register_buffer("colours", torch.zeros(colours, 3))
        self.register_buffer("members", torch.zeros(slots, colours))
        self.register_buffer("mean", torch.zeros(count, NUMBERS))
        self.register_buffer("std", torch.ones(count, NUMBERS))
        table = torch.zeros(LEVELS**3, count)
        self.register_buffer("table", table, persistent=False)
        self.register_load_state_dict_post_hook(_tabulate)

    @property
    def slots(self) -> int:
        """How many of the blobs, the last ones, are object slots."""
        return len(self.members)

    def set(self, colours: Tensor, members: Tensor | None = None) -> None:
        """Sets what blobs are; what they tell is no longer standardised.

        Args:
            colours: (C, 3) in [0, 255].
            members: (slots, C) which colours make a thing, 1 or 0; None for none.

        Raises:
            ValueError: they have another shape.
        """
        members = colours.new_zeros(0, len(colours)) if members is None else members
        for name, given in (("colours", colours), ("members", members)):
            wanted = tuple(getattr(self, name).shape)
            if given.shape != wanted:
                raise ValueError(f"{name} must be {wanted}, got {tuple(given.shape)}")
        self.colours.copy_(colours)
        self.members.copy_(members)
        self.mean.zero_()
        self.std.fill_(1.0)
        _tabulate(self)

    def standardise(self, frames: Tensor, background: Tensor) -> None:
        """Makes what is told of these frames (N, h, w, 3) zero on average, one wide."""
        told = self.std * self(frames, background) + self.mean
        self.mean.copy_(told.mean(dim=0))
        self.std.copy_(told.std(dim=0, correction=0) + _LEAST)

    @torch.no_grad()
    def sums(self, frames: Tensor, background: Tensor) -> Tensor:
        """Amounts, and sums of coordinates, of the pixels that are not as background.

        Args:
            frames: (N, h, w, 3) uint8, or floating point in [0, 255].
            background: (h, w, 3) uint8.

        Returns:
            (N, K, 6) float32: pixels, then over them the sums of row, column, row
            squared, row times column and column squared; both in [-1, 1].
        """
        count, height, width = frames.shape[:3]
        flat = frames.flatten(1, 2)  # (N, pixels, 3)
        gap = _largest_gap(flat, background.flatten(0, 1))
        picture, place = (gap > _SAME).nonzero(as_tuple=True)
        unusual = (gap[picture, place].float() - _SAME) / (_OTHER - _SAME)
        level = (flat[picture, place].to(torch.uint8) // _STEP).long()
        index = (level[:, 0] * LEVELS + level[:, 1]) * LEVELS + level[:, 2]
        coordinates = _coordinates(height, width, frames.device)[place]
        weighted = unusual.clamp(max=1.0)[:, None] * coordinates
        shares = F.embedding(index, self.table)  # (pixels, K)
        each = weighted[:, :, None] * shares[:, None]  # (pixels, 6, K)
        sums = each.new_zeros(count, weighted.shape[1] * shares.shape[1])
        sums.index_add_(0, picture, each.flatten(1))
        return sums.view(count, *each.shape[1:]).transpose(1, 2)

    def forward(self, frames: Tensor, background: Tensor) -> Tensor:
        """What there is of each blob, arguments as in `sums`.

        Returns:
            (N, K, 7): root of its pixels, trust in its place, its mean row and column,
            their variances and their covariance, standardised (see `standardise`).
        """
        sums = self.sums(frames, background)
        amount = sums[..., :1]
        mean = sums[..., 1:] / (amount + 1.0)
        row, column = mean[..., 0], mean[..., 1]
        width = torch.stack(
            (
                mean[..., 2] - row * row,
                mean[..., 3] - row * column,
                mean[..., 4] - column * column,
            ),
            dim=-1,
        )
        trust = amount / (amount + SURE)
        parts = (_ROOT * amount.sqrt(), trust, mean[..., :2], _WIDTH * width)
        return (torch.cat(parts, dim=-1) - self.mean) / self.std


def _largest_gap(pixels: Tensor, background: Tensor) -> Tensor:
    """(N, pixels) uint8: by how much a channel differs, of pixels (N, pixels, 3)."""
    here = pixels.to(torch.uint8)
    gap = torch.maximum(here, background) - torch.minimum(here, background)
    return torch.maximum(torch.maximum(gap[..., 0], gap[..., 1]), gap[..., 2])


def _coordinates(height: int, width: int, device: torch.device) -> Tensor:
    """(pixels, 6): one, row, column and their products."""
    rows = torch.linspace(-1, 1, height, device=device)
    columns = torch.linspace(-1, 1, width, device=device)
    row, column = torch.cartesian_prod(rows, columns).unbind(dim=1)
    ones = torch.ones_like(row)
    parts = (ones, row, column, row * row, row * column, column * column)
    return torch.stack(parts, dim=1)


@torch.no_grad()
def _tabulate(blobs: nn.Module, *_: object) -> None:
    """Fills the table: shares of the blobs in each of LEVELS ** 3 colours."""
    assert isinstance(blobs, ColorBlobs)
    axis = torch.arange(LEVELS, device=blobs.colours.device) * _STEP + _STEP / 2
    colours = torch.cartesian_prod(axis, axis, axis)
    gaps = torch.cdist(colours, blobs.colours).square()
    shares = (-gaps / _SPREAD).softmax(dim=1)
    blobs.table.copy_(torch.cat((shares, shares @ blobs.members.T), dim=1))

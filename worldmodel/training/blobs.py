"""Colour blobs: the colours that things have, and where in a picture they are.

What moves over a still scene can be told by colour long before a network has learned
to see. Colours are clustered without labels, k-means as in bags of colour blobs
(Sivic & Zisserman 2003), where pictures differ from the background one. That a latent
must tell where each blob is, linearly, finds a small thing as soon as a large one:
every blob counts alike, however few its pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from worldmodel.data import FrameCache
from worldmodel.encoders.blobs import SURE, ColorBlobs
from worldmodel.errors import WorldModelError
from worldmodel.training.proprio import training_rows
from worldmodel.training.ridge import ridge
from worldmodel.training.smoothing import smoothed_positions

_SAMPLE = 300  # frames that the background picture is the median of
_COLOURS = 60_000  # pixels that are clustered
_ROUNDS = 12
_UNUSUAL = 32  # least difference of a channel
_CHUNK = 256


def background_image(cache: FrameCache, generator: torch.Generator) -> Tensor:
    """Median (height, width, 3) uint8 of some frames of the training split."""
    rows = some_rows(cache, generator, _SAMPLE)
    frames = np.asarray(cache.frames[rows.numpy()])
    return torch.from_numpy(np.median(frames, axis=0).astype(np.uint8))


def find_blobs(
    cache: FrameCache, count: int, background: Tensor, generator: torch.Generator
) -> ColorBlobs:
    """Clusters the colours of what differs from the background picture.

    Args:
        cache: the decoded dataset; only its training split is looked at.
        count: blobs K.
        background: uint8 (height, width, 3), see `background_image`.
        generator: decides the frames and pixels that are clustered.

    Raises:
        WorldModelError: there are fewer differing pixels than blobs.
    """
    frames = cache.frames_at(some_rows(cache, generator))
    pixels = frames[_unusual(frames, background)].float()
    if not 1 <= count <= len(pixels):
        raise WorldModelError(
            f"blobs must be in [1, {len(pixels)}], the pixels seen that differ from "
            f"the background picture, got {count}"
        )
    pixels = pixels[torch.randperm(len(pixels), generator=generator)[:_COLOURS]]
    colours = _spread(pixels[: _COLOURS // 3], count)
    for _ in range(_ROUNDS):
        nearest = torch.cdist(pixels, colours).argmin(dim=1)
        members = torch.bincount(nearest, minlength=count)[:, None]
        sums = torch.zeros_like(colours).index_add_(0, nearest, pixels)
        colours = torch.where(members > 0, sums / members.clamp(min=1), colours)
    blobs = ColorBlobs(count)
    blobs.set(colours)
    return blobs


def blob_sums(cache: FrameCache, blobs: ColorBlobs, background: Tensor) -> Tensor:
    """Pixels of every frame's blobs, and the sums of their rows and columns, (N, K, 3).

    Args:
        cache: the decoded dataset.
        blobs: of `find_blobs`.
        background: uint8 (height, width, 3), see `background_image`.
    """
    parts = [
        blobs.sums(
            torch.from_numpy(np.array(cache.frames[row : row + _CHUNK])), background
        )
        for row in range(0, len(cache.frames), _CHUNK)
    ]
    return torch.cat(parts)[..., :3]


def blob_places(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column (N, K, 2) of blobs of `blob_sums`, and trust (N, K) in [0, 1)."""
    pixels = sums[..., 0]
    return sums[..., 1:] / pixels.clamp(min=1.0)[..., None], pixels / (pixels + SURE)


def blob_targets(cache: FrameCache, sums: Tensor, slots: int = 0) -> Tensor:
    """What latents shall tell of every frame: where blobs are.

    Where a thing is, is settled over time (see `smoothed_positions`): before it was
    hidden and after, what latents shall tell of it is the same. Things together count
    as much as all colours together: goals are about them.

    Args:
        cache: the decoded dataset.
        sums: (N, K, 3) of `blob_sums`; K may be 0.
        slots: how many of the blobs, the last ones, are object slots.

    Returns:
        (N, K, 4) float32: row, column and amount (root of pixels) of each blob,
        standardised on the training split, and how far its place is to be trusted:
        grows with its pixels, 1 on average over colours.
    """
    if not sums.shape[1]:
        return torch.zeros(len(sums), 0, 4)
    trains = training_rows(cache)
    places, trust = blob_places(sums)
    colours = sums.shape[1] - slots
    for blob in range(colours, sums.shape[1]):
        places[:, blob], trust[:, blob] = smoothed_positions(
            places[:, blob], trust[:, blob], cache.offsets
        )
    amount = sums[..., 0].sqrt()
    trust = trust / trust[trains].mean(dim=0).clamp(min=1e-6)
    trust[:, colours:] *= colours / max(slots, 1)
    weight = trust[trains][..., None]
    total = weight.mean(dim=0).clamp(min=1e-6)
    mean = (weight * places[trains]).mean(dim=0) / total
    spread = (weight * (places[trains] - mean).square()).mean(dim=0) / total
    spread = spread.sqrt()
    level, scale = amount[trains].mean(dim=0), amount[trains].std(dim=0)
    where = (places - mean) / spread.clamp(min=1e-3)
    much = (amount - level) / scale.clamp(min=1e-3)
    return torch.cat((where, much[..., None], trust[..., None]), dim=-1)


def unexplained(targets: Tensor, cache: FrameCache) -> Tensor:
    """How little of each blob's place follows from proprio: what is not the robot.

    Args:
        targets: (N, K, 4) of `blob_targets`.
        cache: the dataset that they are of.

    Returns:
        (K, 2) shares of the variance of row and column, in [0, 1], that a weighted
        regression on proprio and its squares leaves on the training split.
    """
    trains = training_rows(cache)
    felt = torch.from_numpy(cache.proprio)[trains].double()
    felt = (felt - felt.mean(dim=0)) / felt.std(dim=0).clamp(min=1e-6)
    inputs = torch.cat((torch.ones(len(felt), 1), felt, felt.square()), dim=1)
    shares = []
    for places, trust in zip(
        targets[trains, :, :2].double().unbind(1),
        targets[trains, :, 3:].double().unbind(1),
        strict=True,
    ):
        x, y = inputs * trust.sqrt(), places * trust.sqrt()
        left = y - x @ ridge(x, y)
        whole = y.square().sum(dim=0).clamp(min=1e-9)
        shares.append(left.square().sum(dim=0) / whole)
    return torch.stack(shares).clamp(0.0, 1.0).float()


def some_rows(
    cache: FrameCache, generator: torch.Generator, most: int = 4 * _SAMPLE
) -> Tensor:
    """At most so many rows of the training split, drawn, in order."""
    rows = training_rows(cache).nonzero().flatten()
    drawn = torch.randperm(len(rows), generator=generator)[:most]
    return rows[drawn.sort().values]


def _unusual(frames: Tensor, background: Tensor) -> Tensor:
    """Bool (...): where pixels (..., 3) differ from the background ones."""
    gap = frames.to(torch.int16) - background.to(torch.int16)
    return gap.abs().amax(dim=-1) > _UNUSUAL


def _spread(pixels: Tensor, count: int) -> Tensor:
    """Pixels far from one another, each the farthest from those before."""
    chosen = pixels[:1]
    for _ in range(count - 1):
        gap = torch.cdist(pixels, chosen).amin(dim=1)
        chosen = torch.cat((chosen, pixels[gap.argmax()][None]))
    return chosen

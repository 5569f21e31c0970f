"""Where things are in the robot's own coordinates: its hand teaches its eye.

A picture tells where a thing is in the picture: a cube held high before a spot looks
like a cube that lies on it. But what the hand holds is where the hand is, and the
robot feels that. So the moments in which a thing moves just as the hand does, found
without labels, tell how pictures and space go together, and how high things lie that
nobody holds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldmodel.data import FrameCache
from worldmodel.errors import WorldModelError
from worldmodel.training.proprio import training_rows
from worldmodel.training.ridge import ridge
from worldmodel.training.smoothing import between

HAND = 3  # leading dimensions of proprio that are the hand's place
_AROUND = 2  # steps before and after, in which something moves
_MOVED = 0.3  # of a standard deviation, both in the picture and of the hand
_AT_HAND = 0.2  # of one: a thing so near to where a held one would be is held
_PERHAPS = 0.3  # of one: so near it may be, and is between surer moments
_DOUBT = 0.6  # of one: a thing farther than this is not held
_FOUND = 0.5  # least trust in a place
_LEAST = 200  # moments to learn from
_ROUNDS = 30
_LIFTED = 0.5  # of a standard deviation of the hand's height
_LEVEL = 0.25  # of one: a hand so low does not matter, held or not
_ALIKE = 0.06  # of one: places so near are the same, half a centimetre in our scene
_WITHIN = 10  # control steps


@dataclass(frozen=True, eq=False)
class Places:
    """Where a thing is, as far as the hand can tell.

    Attributes:
        where: (N, 3), in the units of the hand's place; counted where trusted.
        trust: (N,) at least 0; 0 where it may be held or not.
        held: bool (N,), surely in the hand.
    """

    where: Tensor
    trust: Tensor
    held: Tensor


def object_position_targets(cache: FrameCache, blobs: Tensor, slots: int) -> Tensor:
    """What latents shall tell of every frame: where things are.

    Args:
        cache: the decoded dataset; the first three numbers of its proprio are the
            hand's place.
        blobs: (N, K, 4) of `blob_targets`.
        slots: how many of them, the last ones, are object slots; J, may be 0.

    Returns:
        (N, J, 4) float32: the place in the hand's coordinates, in standard deviations
        of the hand's place (one for the three axes), and the trust, 1 where a thing
        is as well seen as on average.
    """
    if not slots:
        return torch.zeros(len(blobs), 0, 4)
    trains = training_rows(cache)
    hand = torch.from_numpy(np.array(cache.proprio[:, :HAND])).float()
    spread = hand[trains].var(dim=0).mean().sqrt().clamp(min=1e-6)
    hand = (hand - hand[trains].mean(dim=0)) / spread
    found = []
    for seen in blobs[:, -slots:].unbind(1):
        trust = seen[:, 3] / seen[trains, 3].mean().clamp(min=1e-6)
        there = positions_by_hand(seen[:, :2], trust, hand, cache.offsets, trains)
        found.append(torch.cat((there.where, there.trust[:, None]), dim=1))
    return torch.stack(found, dim=1)


@torch.no_grad()
def positions_by_hand(
    seen: Tensor, trust: Tensor, hand: Tensor, offsets: np.ndarray, trains: Tensor
) -> Places:
    """Where a thing is in the hand's coordinates, at all moments of play.

    The view of the hand, from its place to where a thing that it holds is in the
    picture, is a cubic polynomial, fitted robustly (Geman & McClure 1987) to moments
    in which both move. What lies elsewhere lies as high as things are when the hand
    lifts them.

    Args:
        seen: (N, 2) where the thing is in the picture, standardised and settled.
        trust: (N,) in that, 0 where it is not seen.
        hand: (N, 3) of the hand, all in one unit, the last one its height.
        offsets: (episodes + 1,) first row of each episode, and the end.
        trains: bool (N,), the rows to learn from.

    Raises:
        WorldModelError: hardly anything was ever held.
    """
    scale = hand[trains].std(dim=0).clamp(min=1e-6)
    middle = hand[trains].mean(dim=0)
    at = (hand - middle) / scale
    clear = trust > _FOUND
    early, late = _around(offsets)
    moving = _moved(seen, early, late) & _moved(at, early, late) & clear
    learn = moving & trains
    if learn.sum() < _LEAST:
        raise WorldModelError(
            f"play moves things in {int(learn.sum())} moments for training, at least "
            f"{_LEAST} are needed to learn where things are; set object_dims to 0"
        )
    view = _robust(_cubic(at[learn]), seen[learn].double())
    away = (_cubic(at) @ view - seen).norm(dim=1).float()
    sure = moving & (away < _AT_HAND)
    held, rises = _runs(clear & (away < _PERHAPS), sure, at[:, 2], offsets)
    if not rises:
        raise WorldModelError(
            "play never lifts a thing, so where things are cannot be learned; set "
            "object_dims to 0"
        )
    level = float(np.median(rises))
    known = sure & trains
    both = torch.cat((seen, at[:, 2:]), dim=1)
    back = ridge(_cubic(both[known]), at[known, :2])
    both[:, 2] = level
    lying = torch.cat(((_cubic(both) @ back).float(), both[:, 2:]), dim=1)
    where = torch.where(held[:, None], at, lying)
    doubtful = (away < _DOUBT) & ~held & (at[:, 2] > level + _LEVEL) | ~clear
    where = _settled(where.masked_fill(doubtful[:, None], torch.nan), offsets)
    told = ~where.isnan().any(dim=1)
    where = torch.where(told[:, None], where, lying)
    return Places(where * scale + middle, torch.where(told, trust, 0.0), held)


def _around(offsets: np.ndarray) -> tuple[Tensor, Tensor]:
    """Rows (N,) a little before and after each one, in its episode."""
    rows = np.arange(offsets[-1])
    lengths = np.diff(offsets)
    first = np.repeat(offsets[:-1], lengths)
    last = np.repeat(offsets[1:] - 1, lengths)
    early = np.maximum(rows - _AROUND, first)
    late = np.minimum(rows + _AROUND, last)
    return torch.from_numpy(early), torch.from_numpy(late)


def _moved(places: Tensor, early: Tensor, late: Tensor) -> Tensor:
    return (places[late] - places[early]).norm(dim=1) > _MOVED


def _cubic(x: Tensor) -> Tensor:
    """All products (N, M) of up to three of the numbers (N, K)."""
    ones = torch.ones(len(x), 1, dtype=torch.float64, device=x.device)
    factors = torch.cat((ones, x.double()), dim=1)
    names = itertools.combinations_with_replacement(range(factors.shape[1]), 3)
    return torch.stack([factors[:, list(name)].prod(dim=1) for name in names], dim=1)


def _robust(x: Tensor, y: Tensor) -> Tensor:
    """Least squares of those that agree: what is far off counts less and less."""
    weight = torch.ones(len(x)).to(y)
    for turn in range(_ROUNDS):
        solved = ridge(x, y, weight)
        off = (x @ solved - y).norm(dim=1)
        scale = max(0.8**turn, _AT_HAND / 2)
        weight = 1 / (1 + (off / scale).square()).square()
    return solved


def _runs(
    perhaps: Tensor, sure: Tensor, height: Tensor, offsets: np.ndarray
) -> tuple[Tensor, list[float]]:
    """Moments that belong to a run of `perhaps` with a `sure` one in it.

    Returns:
        Bool (N,), and the least height of each run that rises.
    """
    change = np.flatnonzero(np.diff(perhaps.numpy().astype(np.int8))) + 1
    edges = np.unique(np.concatenate((change, offsets)))
    held = torch.zeros_like(perhaps)
    lows = []
    for first, last in itertools.pairwise(edges.tolist()):
        run = slice(first, last)
        if perhaps[first] and sure[run].any():
            held[run] = True
            low = float(height[run].min())
            if float(height[run].max()) - low > _LIFTED:
                lows.append(low)
    return held, lows


def _settled(where: Tensor, offsets: np.ndarray) -> Tensor:
    """Places, those between two that agree filled in; others stay NaN."""
    parts = []
    for first, last in itertools.pairwise(offsets.tolist()):
        some = where[first:last]
        found = between(some, _ALIKE, _WITHIN)
        parts.append(torch.where(some.isnan(), found, some))
    return torch.cat(parts)

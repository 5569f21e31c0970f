"""Where things are, over time: what is the same before and after did not move."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

_SEEN = 0.5  # trust from which a thing counts as seen in a picture
_PICTURE_ALIKE = 0.012  # of a picture's 2: half a pixel of 96
_PICTURE_WITHIN = 10  # control steps


def smoothed_positions(
    places: Tensor, trust: Tensor, offsets: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Where a thing is in pictures, smoothed: it was there while it was hidden, too.

    Args:
        places: (N, 2) row and column in [-1, 1] of all rows.
        trust: (N,) in [0, 1), 0 where the thing is not seen.
        offsets: (episodes + 1,) first row of each episode, and the end.

    Returns:
        Places, and trust that is as large as that of the moments around.
    """
    seen = torch.where((trust > _SEEN)[:, None], places, torch.nan)
    both = torch.cat((seen, trust[:, None]), dim=1)
    parts = []
    for first, last in itertools.pairwise(offsets.tolist()):
        found = between(both[first:last], _PICTURE_ALIKE, _PICTURE_WITHIN, judged=2)
        parts.append(torch.where(found.isnan(), both[first:last], found))
    settled = torch.cat(parts)
    known = ~settled[:, :2].isnan().any(dim=1)
    where = torch.where(known[:, None], settled[:, :2], places)
    return where, torch.where(known, torch.maximum(settled[:, 2], trust), trust)


def between(
    places: Tensor, alike: float, within: int, judged: int | None = None
) -> Tensor:
    """Places (T, K) of one episode, smoothed; NaN is never alike.

    Where a thing seems to be in one place, then in another, then in the first again, it
    was hidden: a thing that is pushed does not come back by itself. So the places of
    any two moments, not far apart, that agree count for all moments between them; of
    all pairs around a moment the widest count, and where none agrees the moment stays
    as it is. No label is used.

    Args:
        places: (T, K).
        alike: distance below which two places are the same.
        within: steps between two moments, at most.
        judged: the first numbers of a place, which are compared; None for all.
    """
    length = len(places)
    result = places.clone()
    for span in range(1, min(within, length - 1) + 1):
        early, late = places[:-span], places[span:]
        gap = (early - late)[:, :judged].norm(dim=-1)
        agree = gap < alike  # (T - span,)
        mean = torch.where(agree[:, None], (early + late) / 2, 0.0)
        # Sums over the pairs around each moment, as differences of running sums.
        total = _around(mean, span)
        count = _around(agree[:, None].to(places), span)
        known = count > 0.5
        result = torch.where(known, total / count.clamp(min=1.0), result)
    return result


def _around(values: Tensor, span: int) -> Tensor:
    """Values (T - span, K) of pairs (t, t + span) -> (T, K): sums over t's pairs."""
    zeros = values.new_zeros(span, values.shape[1])
    running = torch.cat((values, zeros)).double().cumsum(dim=0)
    before = torch.cat(
        (values.new_zeros(span + 1, values.shape[1]), running[: -span - 1])
    )
    return (running - before[: len(running)]).to(values)

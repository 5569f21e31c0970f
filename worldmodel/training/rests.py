"""Where things are, over time: what is the same before and after did not move."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from worldmodel.memory import Memory
from worldmodel.training.latents import LatentEpisodes


@torch.no_grad()
def settled(
    data: LatentEpisodes, memory: Memory, alike: float, within: int
) -> LatentEpisodes:
    """Latents that tell of things what the moments before and after tell too.

    Where a thing seems to be in one place, then in another, then in the first again,
    it was hidden: a thing that is pushed does not come back by itself. So the places
    of any two moments, not far apart, that agree count for all moments between them.
    No label is used.

    Args:
        data: latents of all episodes.
        memory: says where things are, and moves latents.
        alike: distance along `memory.look` below which two places are the same.
        within: steps between two moments, at most; of all pairs around a moment the
            widest count, and where none agrees the moment stays as it is.
    """
    places = memory.look(data.latents)
    result = places.clone()
    for first, last in _episodes(data):
        rows = slice(first, last + 1)
        result[rows] = _between(places[rows], alike, within)
    return replace(data, latents=memory.moved(data.latents, result))


def _episodes(data: LatentEpisodes) -> list[tuple[int, int]]:
    """First and last row of each episode."""
    firsts = data.first.unique()
    return list(zip(firsts.tolist(), data.last[firsts].tolist(), strict=True))


def _between(places: Tensor, alike: float, within: int) -> Tensor:
    """Places (T, K) of one episode, settled."""
    length = len(places)
    result = places.clone()
    for span in range(1, min(within, length - 1) + 1):
        early, late = places[:-span], places[span:]
        agree = (early - late).norm(dim=-1) < alike  # (T - span,)
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

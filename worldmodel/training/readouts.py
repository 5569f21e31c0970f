"""What latents tell in a few numbers: where the robot is, and where things are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worldmodel.costs.read import ReadDistance
from worldmodel.data import FrameCache
from worldmodel.training.blobs import unexplained
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.proprio import training_rows

_PAIRS = 200_000  # of moments of one episode, to learn from what stays
_RESTS = 0.3  # share of these pairs, the most alike, in which things did not move
_RIDGE = 1e-4


@dataclass(frozen=True, eq=False)
class Reads:
    """What is read from frozen latents, by least squares.

    Attributes:
        felt: latents (D) -> standardised proprio (F); None where F is 0.
        seen: (S, D) read-out of where things are: in the hand's coordinates (S = 3 J)
            where these were learned; else rows and columns of things (2 J); where
            none were found, of all colour blobs (2 K), the less the more proprio
            explains them. None where there are no words.
    """

    felt: nn.Linear | None
    seen: Tensor | None

    @classmethod
    def of(
        cls,
        latents: Tensor,
        felt: Tensor,
        words: Tensor,
        places: Tensor,
        frames: FrameCache,
        things: int = 0,
    ) -> Reads:
        """Fits the read-outs on the training split.

        Args:
            latents: (N, D) of all rows.
            felt: (N, F) standardised proprio.
            words: (N, K, 4) of `blob_targets`.
            places: (N, J, 4) of `object_position_targets`; J may be 0.
            frames: the dataset that they are of.
            things: how many of the words, the last ones, are things.
        """
        trains = training_rows(frames)
        inputs = latents[trains].cpu()
        told = None
        if felt.shape[1]:
            told = least_squares(inputs, felt[trains], torch.ones(len(inputs)))
        if places.shape[1]:
            return cls(told, _where(inputs, places[trains], 3).flatten(0, 1))
        if not words.shape[1]:
            return cls(told, None)
        if things:
            words = words[:, -things:]
        seen = _where(inputs, words[trains], 2)
        if not things:
            shares = unexplained(words, frames)
            seen *= (shares / shares.mean()).sqrt()[..., None]
        return cls(told, seen.flatten(0, 1))

    def proprio_distance(self, size: int) -> ReadDistance | None:
        """Compares the first dimensions of proprio."""
        return _distance(self.felt.weight[:size]) if self.felt and size else None


@torch.no_grad()
def still_directions(
    data: LatentEpisodes, seen: Tensor, aim: int, count: int
) -> Tensor:
    """Directions of latents that stay while things stay, and change where they move.

    Where a thing is seems to change when the gripper hides a part of it. So the
    read-out only decides which pairs of moments of an episode show the same places;
    then Fisher's linear discriminant finds the directions along which those pairs
    differ least, for how much all latents differ. Play must leave things alone between
    three of ten such pairs.

    Args:
        data: latents of the training episodes.
        seen: (S, D) read-out of where things are.
        aim: numbers that say where things are: the principal ones of what is read.
        count: directions.

    Returns:
        (count, D), the most telling first, scaled so that latents have a standard
        deviation of 1 along the first and alike noise along all.
    """
    generator = torch.Generator().manual_seed(0)
    now = data.draw(_PAIRS, generator)
    length = data.last[now] - data.first[now] + 1
    other = data.first[now] + (torch.rand(_PAIRS, generator=generator) * length).long()
    latents = data.latents[data.rows]
    places = data.latents @ _principal(latents, seen, aim).T
    moved = (places[now] - places[other]).norm(dim=-1)
    moved[now == other] = torch.inf
    still = moved <= moved.quantile(_RESTS)
    change = (data.latents[now] - data.latents[other])[still].double()
    within = change.T @ change / len(change)
    spread = (latents - latents.mean(dim=0)).double()
    total = spread.T @ spread / len(spread)
    within += _RIDGE * total.diagonal().mean() * torch.eye(len(total)).to(total)
    whiten = torch.linalg.inv(torch.linalg.cholesky(within))
    _, axes = torch.linalg.eigh(whiten @ total @ whiten.T)  # by growing ratio
    found = (whiten.T @ axes.flip(1)[:, :count]).T
    return (found / (spread @ found[0]).std()).to(latents)


def place_directions(data: LatentEpisodes, seen: Tensor, count: int) -> Tensor:
    """Where things are in the hand's coordinates, and what else stays as they do.

    Args:
        data: latents of the training episodes.
        seen: (3 J, D) read-out of where things are, see `Reads`.
        count: directions, at least 3 J.

    Returns:
        (count, D): `seen`, in its units, and what follows among `still_directions`: a
        thing that stays keeps its orientation, too.
    """
    places = len(seen)
    more = still_directions(data, seen, places, count)[places:]
    return torch.cat((seen.to(more), more))


def _where(inputs: Tensor, targets: Tensor, size: int) -> Tensor:
    """Read-outs (K, size, D) of the first numbers of targets (M, K, 4), by trust."""
    rows = [
        least_squares(inputs, one[:, :size], one[:, 3]).weight
        for one in targets.unbind(1)
    ]
    return torch.stack(rows).detach()


def _principal(latents: Tensor, weight: Tensor, count: int) -> Tensor:
    """(count, D): along which what is read varies most, the first with variance 1."""
    told = (latents - latents.mean(dim=0)) @ weight.to(latents).T
    variance, axes = torch.linalg.eigh(told.T @ told / len(told))
    rows = axes.T.flip(0)[:count] @ weight.to(latents)
    return rows / variance[-1].sqrt().clamp(min=1e-6)


def _distance(weight: Tensor) -> ReadDistance:
    read = ReadDistance(weight.shape[1], weight.shape[0])
    read.readout.weight = nn.Parameter(weight.detach().clone())
    return read


def least_squares(inputs: Tensor, targets: Tensor, weight: Tensor) -> nn.Linear:
    """Weighted ridge regression of (M, S) on (M, D), weights (M,)."""
    ones = torch.ones(len(inputs), 1)
    x = torch.cat((inputs, ones), dim=1).double()
    weighted = x * weight[:, None]
    gram = weighted.T @ x / len(x)
    gram += 1e-6 * torch.eye(x.shape[1]).to(gram)
    solved = torch.linalg.solve(gram, weighted.T @ targets.double() / len(x))
    linear = nn.Linear(inputs.shape[1], targets.shape[1])
    with torch.no_grad():
        linear.weight.copy_(solved[:-1].T)
        linear.bias.copy_(solved[-1])
    return linear.requires_grad_(False)

"""What latents tell in a few numbers: where the robot is, and where things are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from worldmodel.costs.distances import ReadDistance
from worldmodel.data import FrameCache
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.proprio import training_rows
from worldmodel.training.ridge import ridge

_PAIRS = 200_000  # of moments of one episode, to learn from what stays
_RESTS = 0.3  # share of these pairs, the most alike, in which things did not move
_RIDGE = 1e-4


def proprio_readout(latents: Tensor, proprio: Tensor, frames: FrameCache) -> nn.Linear:
    """Latents (N, D) -> standardised proprio (N, S), fitted on the training split."""
    trains = training_rows(frames)
    inputs = latents[trains].cpu()
    return least_squares(inputs, proprio[trains], torch.ones(len(inputs)))


def position_readout(latents: Tensor, targets: Tensor, frames: FrameCache) -> Tensor:
    """Read-out (3 J, D) of where things are, fitted on the training split, by trust.

    Args:
        latents: (N, D) of all rows.
        targets: (N, J, 4) of `object_position_targets`.
        frames: the dataset that they are of.
    """
    trains = training_rows(frames)
    inputs = latents[trains].cpu()
    rows = [
        least_squares(inputs, one[:, :3], one[:, 3]).weight
        for one in targets[trains].unbind(1)
    ]
    return torch.cat(rows).detach()


def proprio_distance(readout: nn.Linear, size: int) -> ReadDistance | None:
    """Compares the first dimensions of proprio; None of none."""
    if not size:
        return None
    distance = ReadDistance(readout.in_features, size)
    distance.readout.weight = nn.Parameter(readout.weight[:size].detach().clone())
    return distance


@torch.no_grad()
def object_directions(data: LatentEpisodes, positions: Tensor, count: int) -> Tensor:
    """Where things are, and directions that stay while things stay.

    A thing that stays keeps its orientation, too. So the read-out of positions decides
    which pairs of moments of an episode show the same ones; then Fisher's linear
    discriminant finds the directions along which those pairs differ least, for how much
    all latents differ. Play must leave things alone between three of ten such pairs.

    Args:
        data: latents of the training episodes.
        positions: (3 J, D) of `position_readout`.
        count: directions, at least 3 J.

    Returns:
        (count, D): `positions`, then the most telling of the others, scaled so that
        latents have a standard deviation of 1 along the first discriminant.
    """
    generator = torch.Generator().manual_seed(0)
    now = data.draw(_PAIRS, generator)
    length = data.last[now] - data.first[now] + 1
    other = data.first[now] + (torch.rand(_PAIRS, generator=generator) * length).long()
    latents = data.latents[data.rows]
    places = data.latents @ _principal(latents, positions).T
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
    found = (found / (spread @ found[0]).std()).to(latents)
    return torch.cat((positions.to(found), found[len(positions) :]))


def _principal(latents: Tensor, weight: Tensor) -> Tensor:
    """(K, D): read-outs turned so that the first varies most, with variance 1."""
    told = (latents - latents.mean(dim=0)) @ weight.to(latents).T
    variance, axes = torch.linalg.eigh(told.T @ told / len(told))
    rows = axes.T.flip(0) @ weight.to(latents)
    return rows / variance[-1].sqrt().clamp(min=1e-6)


def least_squares(inputs: Tensor, targets: Tensor, weight: Tensor) -> nn.Linear:
    """Weighted ridge regression of (M, S) on (M, D), weights (M,)."""
    ones = torch.ones(len(inputs), 1)
    solved = ridge(torch.cat((inputs, ones), dim=1), targets, weight)
    linear = nn.Linear(inputs.shape[1], targets.shape[1])
    with torch.no_grad():
        linear.weight.copy_(solved[:-1].T)
        linear.bias.copy_(solved[-1])
    return linear.requires_grad_(False)

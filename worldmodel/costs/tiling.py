"""Costs that are bitwise the same in every batch, at every place, in every chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel.history import Context
from worldmodel.inputs import require_sequences

TILE = 64  # candidates
SMALL_TILES = (8, 32)  # for as many candidates or fewer


@dataclass(frozen=True, eq=False)
class TiledCost:
    """A `CostFn` of B problems, each computed alone, in tiles of one fixed shape.

    Matrix products round differently with their number of rows, so a candidate's cost
    would depend on who is computed beside it. A tile that is not full is padded. A call
    for few candidates takes a smaller tile, which takes less time, and whose last bits
    may differ.

    Attributes:
        problems: a cost (1, N, H, A) -> (1, N) for each problem, on memory of its own.
    """

    problems: Sequence[Callable[[Tensor], Tensor]]

    def __call__(self, actions: Tensor) -> Tensor:
        """Cost (B, N) of each candidate (B, N, H, A)."""
        require_sequences(actions, len(self.problems))
        rows = [
            tiled(cost, some)
            for cost, some in zip(self.problems, actions.split(1), strict=True)
        ]
        return torch.cat(rows)


def each_tiled(
    cost: Callable[[Context, Tensor], Callable[[Tensor], Tensor]],
    context: Context,
    goal: Tensor,
) -> TiledCost:
    """The cost of each problem of a past, toward its goal of (B, P, D), alone."""
    ends = enumerate(goal.split(1))
    return TiledCost([cost(context.problem(b), end.clone()) for b, end in ends])


def tiled(cost: Callable[[Tensor], Tensor], actions: Tensor) -> Tensor:
    """Costs (1, N) of one problem's candidates (1, N, H, A)."""
    count = actions.shape[1]
    rows = next((few for few in SMALL_TILES if count <= few), TILE)
    padded = F.pad(actions, (0, 0, 0, 0, 0, -count % rows))
    parts = [cost(tile) for tile in padded.split(rows, dim=1)]
    return torch.cat(parts, dim=1)[:, :count]

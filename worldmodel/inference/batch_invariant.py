"""Each problem of a batch computed alone, bitwise the same in every batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel.history import Context
from worldmodel.inputs import require_sequences

Cost = TypeVar("Cost", bound=Callable[[Tensor], Tensor])

TILE = 64  # candidates
SMALL_TILES = (8, 16, 32)  # for as many candidates or fewer


def apart(asked: bool, batch: Tensor) -> bool:
    """Whether the problems of a batch are computed one by one: on a CPU, where asked.

    On a GPU nothing is promised bitwise.
    """
    return asked and batch.device.type == "cpu"


def each_alone(asked: bool, compute: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """What `compute` gives, for each problem alone where that is asked (`apart`).

    Matrix products round differently with the number of rows and with the alignment of
    their memory, so each problem is copied.

    Args:
        asked: whether the batch must not matter.
        compute: takes one tensor (B, ...) for each of `batches`; B is 1 for one alone.
        batches: (B, ...) each.
    """
    if not apart(asked, batches[0]):
        return compute(*batches)
    rows = zip(*(batch.split(1) for batch in batches), strict=True)
    return torch.cat([compute(*(part.clone() for part in row)) for row in rows])


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
    asked: bool, cost: Callable[[Context, Tensor], Cost], context: Context, goal: Tensor
) -> Cost | TiledCost:
    """A cost of a past, toward goals (B, P, D), of each problem alone where asked."""
    if not apart(asked, goal):
        return cost(context, goal)
    ends = enumerate(goal.split(1))
    return TiledCost([cost(context.problem(b), end.clone()) for b, end in ends])


def tiled(cost: Callable[[Tensor], Tensor], actions: Tensor) -> Tensor:
    """Costs (1, N) of one problem's candidates (1, N, H, A)."""
    count = actions.shape[1]
    rows = next((few for few in SMALL_TILES if count <= few), TILE)
    padded = F.pad(actions, (0, 0, 0, 0, 0, -count % rows))
    parts = [cost(tile) for tile in padded.split(rows, dim=1)]
    return torch.cat(parts, dim=1)[:, :count]

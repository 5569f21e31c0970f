"""Where in a picture features are: a few learned points."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NUMBERS = 3  # of a point: its row, its column, and how much of its feature there is
_SHARPNESS = 4.0  # of the scores at the start


class FeaturePoints(nn.Module):
    """Cells of features (B, rows, columns, C) -> one embedding (B, D).

    Each point scores every cell, and its place is the mean over cells under the softmax
    of the scores (spatial softmax, Levine et al. 2016; feature points, Finn et al.
    2016). So a place is read to a fraction of a pixel from the first step on, which
    patches learn slowly.

    Args:
        cell_dim: width C of a cell.
        points: how many.
        dim: width D of the embedding.
    """

    def __init__(self, cell_dim: int, points: int, dim: int) -> None:
        super().__init__()
        if points < 1:
            raise ValueError(f"points must be at least 1, got {points}")
        self.score = nn.Linear(cell_dim, points)
        self.tell = nn.Linear(_NUMBERS * points, dim)

    def places(self, cells: Tensor) -> Tensor:
        """Row, column (each in [-1, 1]) and log amount of each point, (B, K, 3)."""
        rows, columns = cells.shape[1:3]
        scores = _SHARPNESS * self.score(cells).flatten(1, 2).float()  # (B, cells, K)
        shares = scores.softmax(dim=1).transpose(1, 2)
        grid = torch.cartesian_prod(
            torch.linspace(-1, 1, rows, device=cells.device),
            torch.linspace(-1, 1, columns, device=cells.device),
        )
        with torch.autocast(cells.device.type, enabled=False):
            where = shares @ grid  # (B, K, 2)
        amount = scores.logsumexp(dim=1) / _SHARPNESS
        return torch.cat((where, amount[..., None]), dim=-1)

    def forward(self, cells: Tensor) -> Tensor:
        """Same as `places`, embedded."""
        return self.tell(self.places(cells).flatten(1).to(cells.dtype))

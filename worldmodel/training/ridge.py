"""Ridge regression, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

_STRENGTH = 1e-6  # of the penalty, beside the mean of squared inputs


def ridge(inputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
    """The linear map of least squared error, float64 (M, K).

    Args:
        inputs: (N, M), a column of ones among them where there is to be an intercept.
        targets: (N, K).
        weight: (N,) how much each counts; None for all alike.
    """
    x, y = inputs.double(), targets.double()
    weighted = x if weight is None else x * weight[:, None]
    gram = weighted.T @ x / len(x)
    gram += _STRENGTH * torch.eye(x.shape[1]).to(gram)
    return torch.linalg.solve(gram, weighted.T @ y / len(x))

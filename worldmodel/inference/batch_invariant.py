"""Computing each problem of a batch alone, so that the batch does not matter."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def each_alone(compute: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """What `compute` gives for each problem alone, joined along the first axis.

    Matrix products round differently with the number of rows and with the alignment of
    their memory, so each problem is copied.

    Args:
        compute: takes one tensor (1, ...) for each of `batches`.
        batches: (B, ...) each.
    """
    rows = zip(*(batch.split(1) for batch in batches), strict=True)
    return torch.cat([compute(*(part.clone() for part in row)) for row in rows])

"""What the robot felt, as a target of training."""

from __future__ import annotations

import torch
from torch import Tensor

from worldmodel.data import FrameCache, SplitRule
from worldmodel.errors import WorldModelError


def standardised_proprio(cache: FrameCache, size: int) -> Tensor:
    """The first dimensions of every row's proprio, standardised on the training split.

    Args:
        cache: the decoded dataset.
        size: how many dimensions; 0 for none.

    Returns:
        (N, size) float32; a dimension that never changes is 0.

    Raises:
        WorldModelError: the dataset has fewer dimensions.
    """
    felt = torch.from_numpy(cache.proprio)
    if not 0 <= size <= felt.shape[1]:
        raise WorldModelError(
            f"proprio must be in [0, {felt.shape[1]}], the dimensions of the dataset, "
            f"got {size}"
        )
    felt = felt[:, :size].float()
    if size == 0:
        return felt
    seen = felt[training_rows(cache)]
    std = seen.std(dim=0, correction=0)
    return (felt - seen.mean(dim=0)) / torch.where(std > 1e-6, std, torch.inf)


def training_rows(cache: FrameCache) -> Tensor:
    """Bool (N,): the rows of the training split."""
    holds = SplitRule().holds("train", cache.episodes)
    return torch.from_numpy(holds.repeat(cache.lengths))

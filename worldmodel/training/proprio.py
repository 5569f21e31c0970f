"""What the robot felt, as a target of training."""

from __future__ import annotations

import torch
from torch import Tensor

from worldmodel.data import FrameCache, SplitRule
from worldmodel.errors import WorldModelError


def proprio_statistics(cache: FrameCache, size: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (size,) of proprio over the training split.

    Args:
        cache: the decoded dataset.
        size: leading dimensions; 0 for none.

    Returns:
        float32; the standard deviation of a dimension that never changes is infinite.

    Raises:
        WorldModelError: the dataset has fewer dimensions.
    """
    felt = torch.from_numpy(cache.proprio)
    if not 0 <= size <= felt.shape[1]:
        raise WorldModelError(
            f"proprio must be in [0, {felt.shape[1]}], the dimensions of the dataset, "
            f"got {size}"
        )
    seen = felt[training_rows(cache), :size].float()
    if size == 0:
        return seen.new_zeros(0), seen.new_zeros(0)
    std = seen.std(dim=0, correction=0)
    return seen.mean(dim=0), torch.where(std > 1e-6, std, torch.inf)


def standardised_proprio(cache: FrameCache, size: int) -> Tensor:
    """The first dimensions (N, size) of every row's proprio, float32, standardised.

    A dimension that never changes is 0. Arguments and errors are those of
    `proprio_statistics`.
    """
    mean, std = proprio_statistics(cache, size)
    return (torch.from_numpy(cache.proprio)[:, :size].float() - mean) / std


def training_rows(cache: FrameCache) -> Tensor:
    """Bool (N,): the rows of the training split."""
    holds = SplitRule().holds("train", cache.episodes)
    return torch.from_numpy(holds.repeat(cache.lengths))

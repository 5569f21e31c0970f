"""Bounds of actions other than the box [-1, 1]^A."""

import torch
from torch import Tensor


def in_l1_ball(actions: Tensor, dims: int) -> Tensor:
    """Gives the nearest actions whose first dimensions lie in the L1 ball of radius 1.

    Made of elementwise operations: a problem's numbers do not depend on its company.
    Duchi et al. 2008, Efficient Projections onto the l1-Ball.

    Args:
        actions: (..., A).
        dims: how many of the first dimensions the ball has, at most A; 0 gives the
            actions back as they are.

    Raises:
        ValueError: the ball has more dimensions than an action.
    """
    if not dims:
        return actions
    size = actions.shape[-1]
    if dims > size:
        raise ValueError(f"l1_dims must be at most A={size}, got {dims}")
    inside = actions[..., :dims]
    magnitude = inside.abs()
    ordered = magnitude.sort(dim=-1, descending=True).values
    total = torch.zeros_like(ordered[..., 0])
    shrink = torch.zeros_like(total)  # the threshold that leaves a sum of 1
    for count in range(1, dims + 1):
        total = total + ordered[..., count - 1]
        # With the true number of nonzero dimensions it is the largest of all.
        shrink = torch.maximum(shrink, (total - 1.0) / count)
    moved = (magnitude - shrink[..., None]).clamp(min=0.0) * inside.sign()
    return torch.cat((moved, actions[..., dims:]), dim=-1)

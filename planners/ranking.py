"""Scored candidates, and sums over them whose order never depends on the batch.

Torch's own reductions may add in another order when the batch, the layout or the number
of threads differs; these are made of elementwise operations, so a problem's numbers are
the same bits in every company. For the same reason nothing here multiplies and adds in
one operation: some kernels would round once, others twice.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from planners.contract import CostFn


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates `actions` (B, N, H, A) with `cost` (B, N), finite or +inf."""

    actions: Tensor
    cost: Tensor


def score(cost: CostFn, actions: Tensor) -> Scored:
    """Gives the candidates (B, N, H, A) with their costs.

    A NaN or -inf becomes +inf; a candidate that is not finite itself costs +inf.

    Raises:
        ValueError: the cost function returned another shape than (B, N), or costs on
            another device.
    """
    values = checked(cost(actions), actions)
    values = values.to(actions.dtype)
    valid = values.isfinite() & actions.isfinite().flatten(2).all(dim=2)
    return Scored(actions, torch.where(valid, values, torch.inf))


def checked(values: Tensor, actions: Tensor) -> Tensor:
    """Gives the costs of candidates (B, N, H, A) back, or says what is wrong."""
    if not isinstance(values, Tensor):
        raise ValueError(
            "the cost function must return a torch tensor (B, N) = "
            f"{tuple(actions.shape[:2])}, got {type(values).__name__}"
        )
    if values.shape != actions.shape[:2]:
        raise ValueError(
            f"the cost function must return (B, N) = {tuple(actions.shape[:2])} for "
            f"candidates {tuple(actions.shape)}, got {tuple(values.shape)}"
        )
    if values.device != actions.device:
        raise ValueError(
            f"the cost function must return costs on the candidates' device "
            f"{actions.device}, got {values.device}"
        )
    return values


def join(first: Scored, second: Scored) -> Scored:
    """Gives the candidates of both, those of the first in front."""
    return Scored(
        torch.cat([first.actions, second.actions], dim=1),
        torch.cat([first.cost, second.cost], dim=1),
    )


def first(scored: Scored, count: int) -> Scored:
    """Gives the first `count` candidates."""
    return Scored(scored.actions[:, :count], scored.cost[:, :count])


def cheapest(scored: Scored, count: int) -> Scored:
    """Gives the `count` cheapest, in order; of equals the one that stood first."""
    batch, samples, horizon, action_size = scored.actions.shape
    cost, index = torch.sort(scored.cost, dim=1, stable=True)
    starts = torch.arange(batch, device=index.device) * samples
    rows = index[:, :count] + starts[:, None]
    flat = scored.actions.reshape(batch * samples, horizon * action_size)
    chosen = flat.index_select(0, rows.flatten())
    return Scored(chosen.view(batch, count, horizon, action_size), cost[:, :count])


def better(one: Scored, other: Scored) -> Scored:
    """Gives per problem the cheaper of two (B, 1, H, A), of equals the first."""
    wins = other.cost < one.cost  # (B, 1)
    return Scored(
        torch.where(wins[:, :, None, None], other.actions, one.actions),
        torch.where(wins, other.cost, one.cost),
    )


def finite_or(one: Scored, other: Scored) -> Scored:
    """Gives the first (B, N, H, A) of two, the other (B, 1, …) for infinite costs."""
    fits = one.cost < torch.inf  # (B, N)
    return Scored(
        torch.where(fits[:, :, None, None], one.actions, other.actions),
        torch.where(fits, one.cost, other.cost),
    )


def finite_means(costs: list[Tensor]) -> Tensor:
    """Gives the means (I, B) of the finite values of I costs (B, K); inf where none."""
    cost = torch.stack(costs)  # (I, B, K)
    cost = cost.movedim(2, 1)  # (I, K, B)
    finite = cost < torch.inf
    total = ordered_sum(torch.where(finite, cost, 0.0))
    count = finite.sum(dim=1)  # of integers: exact in any order
    return torch.where(count > 0, total / count, torch.inf)


def weighted_moments(actions: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Gives mean and standard deviation (B, H, A) of (B, K, H, A) under (B, K) weights.

    The weights need not sum to one; where all are zero the moments are NaN. What weighs
    nothing need not be a number.
    """
    weights = weights / ordered_sum(weights)[:, None]
    weights = weights[:, :, None, None]  # (B, K, 1, 1)
    actions = torch.where(weights > 0, actions, 0.0)
    mean = ordered_sum(actions * weights)
    deviations = actions - mean[:, None]
    variance = ordered_sum(deviations * deviations * weights)
    return mean, variance.sqrt()


def ordered_sum(values: Tensor) -> Tensor:
    """Gives the sum (B, …) over dimension 1 of (B, K, …), by halving: log2(K) adds."""
    while values.shape[1] > 1:
        left, right, *odd = values.split(values.shape[1] // 2, dim=1)
        values = left + right
        if odd:
            values[:, :1] += odd[0]
    return values[:, 0]

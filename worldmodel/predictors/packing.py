"""What packed predictors are made of: affine maps, and attention over a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Affine:
    """x (..., in) -> x @ weight.T + bias (..., out)."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def to(self, dtype: torch.dtype) -> Affine:
        """The same in another precision."""
        return Affine(self.weight.to(dtype), self.bias.to(dtype))


def affine(layer: nn.Linear) -> Affine:
    """A copy of a layer's map, without gradients."""
    weight = layer.weight.detach().clone()
    if layer.bias is None:
        return Affine(weight, weight.new_zeros(len(weight)))
    return Affine(weight, layer.bias.detach().clone())


def folded(norm: nn.LayerNorm, layer: nn.Linear) -> Affine:
    """The map of a layer after a norm's own weights: (x γ + β) W.T + b."""
    inside = affine(layer)
    return Affine(
        inside.weight * norm.weight.detach(),
        inside.bias + inside.weight @ norm.bias.detach(),
    )


def few_step_attention(
    query: Tensor,
    steps: Sequence[tuple[Tensor, Tensor]],
    biases: Sequence[Tensor] | None = None,
) -> Tensor:
    """Attention of one step on a few: sums, where tiny matrix products would be slow.

    Args:
        query: (..., heads, head width), already scaled.
        steps: key and value of each step that is seen, of shapes that broadcast.
        biases: added to the scores of each step, (heads,), or None.

    Returns:
        (..., heads, head width).
    """
    if len(steps) == 1:
        return steps[0][1].expand_as(query)
    scores = [(query * key).sum(dim=-1) for key, _ in steps]  # (..., heads)
    if biases is not None:
        scores = [score + bias for score, bias in zip(scores, biases, strict=True)]
    shares = torch.stack(scores).softmax(dim=0)[..., None]  # (T, ..., heads, 1)
    mixed = shares[0] * steps[0][1]
    for share, (_, value) in zip(shares[1:], steps[1:], strict=True):
        mixed = torch.addcmul(mixed, share, value)
    return mixed

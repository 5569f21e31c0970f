"""What packed predictors are made of: affine maps, and attention over a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ROWS = 64  # that the weights' layout is chosen for


@dataclass(frozen=True, eq=False)
class Affine:
    """x (..., in) -> x @ weight.T + bias (..., out), without gradients.

    `to` lays the weights out for oneDNN on a CPU that has it: `torch.nn.functional`
    goes through another library for float32, which is half as fast on some processors,
    and lays bfloat16 weights out anew in every call.

    Attributes:
        weight: (out, in).
        bias: (out,).
        laid_out: the weight as oneDNN wants it, None where it is not used.
    """

    weight: Tensor
    bias: Tensor
    laid_out: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return self._apply(x, "none")

    def gelu(self, x: Tensor) -> Tensor:
        """The map, then GELU (exact)."""
        if self.laid_out is None:
            return F.gelu(F.linear(x, self.weight, self.bias))
        return self._apply(x, "gelu")

    def _apply(self, x: Tensor, then: str) -> Tensor:
        if self.laid_out is None:
            return F.linear(x, self.weight, self.bias)
        exact = "none"  # not the approximation by tanh
        return torch.ops.mkldnn._linear_pointwise(
            x, self.laid_out, self.bias, then, [], exact
        )

    def to(self, dtype: torch.dtype) -> Affine:
        """The same in another precision, ready to be used many times."""
        weight, bias = self.weight.to(dtype), self.bias.to(dtype)
        return Affine(weight, bias, _laid_out(weight))


def _laid_out(weight: Tensor) -> Tensor | None:
    if weight.device.type != "cpu" or weight.dtype not in onednn_types():
        return None
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)


@lru_cache(maxsize=1)
def onednn_types() -> tuple[torch.dtype, ...]:
    """What oneDNN multiplies here, by the operators that torch's compiler emits."""
    operators = torch.ops.mkldnn
    needed = ("_linear_pointwise", "_reorder_linear_weight")
    there = all(hasattr(operators, name) for name in needed)
    if not there or not torch.backends.mkldnn.is_available():
        return ()
    asks = getattr(operators, "_is_mkldnn_bf16_supported", None)
    if asks is None or not asks():
        return (torch.float32,)
    return (torch.float32, torch.bfloat16)


class PackedLinear(nn.Module):
    """A linear layer's map in another precision, in the place of the layer."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.map, self.dtype = affine(layer).to(dtype), dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x.to(self.dtype))


def pack(module: nn.Module, names: Sequence[str], dtype: torch.dtype) -> None:
    """Sets the precision of some parts of a module, its linear layers packed."""
    for name in names:
        part = module.get_submodule(name)
        if isinstance(part, nn.Linear):
            module.set_submodule(name, PackedLinear(part, dtype))
        else:
            part.to(dtype)


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

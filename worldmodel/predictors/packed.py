"""The predictor packed for planning: the same function, without gradients, faster."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel.predictors.action_predictor import ActionPredictor, PredictorBlock

Modulation = tuple[Tensor, ...]
"""Shift, scale, gate of attention and of the MLP, (B, N, width) each; the last two of
each kind already count from 1."""


@dataclass(frozen=True)
class Past:
    """Keys and values of the steps that attention still sees.

    Attributes:
        blocks: per block and step, newest last, a key and a value (B, N, heads, head
            width); N is 1 for what all candidates share.
    """

    blocks: tuple[tuple[tuple[Tensor, Tensor], ...], ...]


class PackedPredictor:
    """An `ActionPredictor`'s roll-out with fewer and cheaper operations.

    Modulations are computed for all steps of a plan at once; the past is shared by all
    candidates without a copy; a step's attention is a few sums over the steps it sees;
    matrix products run in `dtype`. In float32 the results are those of the predictor
    but for rounding.

    Args:
        predictor: whose weights are taken as they are now.
        dtype: of weights and activations; latents stay in float32.
    """

    def __init__(self, predictor: ActionPredictor, dtype: torch.dtype) -> None:
        self.spec, self.dtype = predictor.spec, dtype
        self._enter = _linear(predictor.enter, dtype)
        self._embed = predictor.action
        self._blocks = [_PackedBlock(block, dtype) for block in predictor.stack()]
        norm = predictor.norm
        self._norm = norm.weight.detach().to(dtype), norm.bias.detach().to(dtype)
        self._leave = _linear(predictor.leave, dtype)

    def modulate(self, actions: Tensor) -> list[Modulation]:
        """What actions (..., A) do to each block."""
        embedded = self._embed(actions).to(self.dtype)
        return [block.modulate(embedded) for block in self._blocks]

    def advance(
        self, latents: Tensor, modulations: list[Modulation], past: Past
    ) -> tuple[Tensor, Past]:
        """Latents (B, N, D) and what the action does -> the next ones, and the past."""
        x = F.linear(latents.to(self.dtype), *self._enter)
        seen = []
        for block, modulation, steps in zip(
            self._blocks, modulations, past.blocks, strict=True
        ):
            x, steps = block.advance(x, modulation, steps)
            seen.append(steps)
        x = F.layer_norm(x, x.shape[-1:], *self._norm)
        change = F.linear(x, *self._leave)
        return latents + change, Past(tuple(seen))

    def history(self, latents: Tensor, past_actions: Tensor) -> Past:
        """The past, computed once for all candidates.

        Args:
            latents: (B, T, D) up to now.
            past_actions: (B, T - 1, A) between them.
        """
        past = Past(((),) * len(self._blocks))
        # Depth times the window can matter; what is older can not.
        reach = self.spec.depth * (self.spec.window - 1)
        known = latents[:, :-1][:, -reach:]
        taken = past_actions[:, -reach:]
        for step in range(known.shape[1]):
            modulations = self.modulate(taken[:, step : step + 1])
            _, past = self.advance(known[:, step : step + 1], modulations, past)
        return past

    def rollout(self, now: Tensor, past: Past, actions: Tensor) -> Tensor:
        """Imagines what actions lead to.

        Args:
            now: (B, D) the newest latents.
            past: `history` up to them.
            actions: (B, N, H, A) candidates.

        Returns:
            (B, N, H, D): the latent after each action.
        """
        batch, candidates, _, _ = actions.shape
        here = now[:, None].expand(batch, candidates, -1)
        by_step = actions.movedim(2, 0).contiguous()  # (H, B, N, A)
        modulations = self.modulate(by_step)
        imagined = []
        for step in range(len(by_step)):
            parts = [tuple(part[step] for part in whole) for whole in modulations]
            here, past = self.advance(here, parts, past)
            imagined.append(here)
        return torch.stack(imagined, dim=2)


class _PackedBlock:
    def __init__(self, block: PredictorBlock, dtype: torch.dtype) -> None:
        self.heads, self.window = block.heads, block.window
        self._modulation = _modulation(block, dtype)
        weight, bias = block.qkv.weight.clone(), block.qkv.bias.clone()
        inner = len(bias) // 3
        scale = (inner // self.heads) ** -0.5
        weight[:inner] *= scale  # the queries'
        bias[:inner] *= scale
        self._qkv = weight.to(dtype), bias.to(dtype)
        self._out = _linear(block.out, dtype)
        self._expand = _linear(block.expand, dtype)
        self._contract = _linear(block.contract, dtype)
        self._lag_bias = block.lag_bias.T.to(dtype)  # (window, heads)

    def modulate(self, embedded: Tensor) -> Modulation:
        return F.linear(embedded, *self._modulation).chunk(6, dim=-1)

    def advance(
        self,
        x: Tensor,
        modulation: Modulation,
        steps: tuple[tuple[Tensor, Tensor], ...],
    ) -> tuple[Tensor, tuple[tuple[Tensor, Tensor], ...]]:
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = modulation
        qkv = F.linear(_normed(x, shift, scale), *self._qkv)
        qkv = qkv.unflatten(-1, (3, self.heads, -1))  # (B, N, 3, heads, head width)
        query, key, value = qkv.unbind(dim=-3)
        steps = (*steps, (key, value))[-self.window :]
        mixed = self._attend(query, steps).flatten(-2)
        x = torch.addcmul(x, gate, F.linear(mixed, *self._out))
        hidden = F.linear(_normed(x, shift_mlp, scale_mlp), *self._expand)
        hidden = F.linear(F.gelu(hidden), *self._contract)
        return torch.addcmul(x, gate_mlp, hidden), steps[-(self.window - 1) :]

    def _attend(
        self, query: Tensor, steps: tuple[tuple[Tensor, Tensor], ...]
    ) -> Tensor:
        """A few sums are faster than many tiny matrix products."""
        if len(steps) == 1:
            return steps[0][1].expand_as(query)
        lags = range(len(steps) - 1, -1, -1)
        scores = [
            (query * key).sum(dim=-1) + self._lag_bias[lag]  # (B, N, heads)
            for lag, (key, _) in zip(lags, steps, strict=True)
        ]
        shares = torch.stack(scores).softmax(dim=0)[..., None]  # (T, B, N, heads, 1)
        mixed = shares[0] * steps[0][1]
        for share, (_, value) in zip(shares[1:], steps[1:], strict=True):
            mixed = torch.addcmul(mixed, share, value)
        return mixed


def _normed(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), scale)


def _linear(layer: torch.nn.Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)


def _modulation(block: PredictorBlock, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The modulation's weights, scales and gates counting from 1."""
    layer = block.modulation
    weight, bias = layer.weight.detach(), layer.bias.detach().clone()
    parts = bias.chunk(6)
    for index in (1, 2, 4, 5):
        parts[index].add_(1.0)
    return weight.to(dtype), bias.to(dtype)

"""LeWorldModel's predictor packed for planning: the same function, with less work."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.models.lewm import LeWMBlock, LeWMPredictor
from worldmodel.inference.affine import Affine, affine, few_step_attention, folded

KeyValue = tuple[Tensor, Tensor]
"""A token's key and value, (rows, heads, head width) each."""


@dataclass(frozen=True)
class _Window:
    """Per block the keys and values of the window's tokens so far."""

    blocks: tuple[tuple[KeyValue, ...], ...]


class PackedLeWM:
    """A `LeWMPredictor`'s roll-out without gradients.

    While the window grows, positions stay what they were, so each step adds one token
    to those before. Once it slides, all of its tokens get another position and are
    computed anew, in the last block no further than the newest one needs. Each action
    is embedded once, however often its frame is seen. Norms' weights, the batch norm
    and the softmax's scale are folded into the matrices beside them. Matrix products
    run in `dtype`.

    Args:
        predictor: whose weights are taken as they are now.
        dtype: of weights and activations; latents stay in float32.
    """

    def __init__(self, predictor: LeWMPredictor, dtype: torch.dtype) -> None:
        predictor = deepcopy(predictor).requires_grad_(False).eval()
        self.spec, self.dtype = predictor.spec, dtype
        self._mix = affine(predictor.mix)
        self._embed = predictor.embed
        self._positions = predictor.positions.detach()
        self._blocks = [_PackedBlock(block, dtype) for block in _blocks(predictor)]
        self._project_in = _projection(predictor).to(dtype)
        self._project_out = affine(predictor.project_out).to(dtype)

    @torch.no_grad()
    def rollout(self, latents: Tensor, past_actions: Tensor, actions: Tensor) -> Tensor:
        """As `LeWMPredictor.rollout`."""
        batch, candidates, horizon, size = actions.shape
        window = self.spec.window
        past = latents[:, -window:].repeat_interleave(candidates, dim=0)
        taken = past_actions[:, past_actions.shape[1] + 1 - past.shape[1] :]
        taken = taken.repeat_interleave(candidates, dim=0)
        flat = torch.cat((taken, actions.reshape(-1, horizon, size)), dim=1)
        modulations = self._modulate(flat)
        seen = list(past.unbind(dim=1))
        known = _Window(((),) * len(self._blocks))
        fresh = len(seen)  # tokens that no step has computed at their position
        for _ in range(horizon):
            if len(seen) > window:
                known, fresh = _Window(((),) * len(self._blocks)), window
            first = len(seen) - fresh
            place = min(len(seen), window) - fresh
            tokens = torch.stack(seen[first:])  # (fresh, rows, D)
            tokens = tokens + self._positions[place : place + fresh, None]
            here = [block[first : first + fresh] for block in modulations]
            after, known = self._advance(tokens.to(self.dtype), here, known)
            seen.append(after)
            fresh = 1
        future = torch.stack(seen[-horizon:], dim=1)
        return future.view(batch, candidates, horizon, -1)

    def _modulate(self, actions: Tensor) -> list[Tensor]:
        """Actions (rows, T, A) -> what they do to each block, (T, rows, 6 D)."""
        embedded = self._embed(self._mix(actions.transpose(0, 1)))
        embedded = F.silu(embedded).to(self.dtype)
        return [block.modulation(embedded) for block in self._blocks]

    def _advance(
        self, x: Tensor, modulations: list[Tensor], known: _Window
    ) -> tuple[Tensor, _Window]:
        """Adds tokens (T, rows, D) to a window -> the next latents (rows, D)."""
        seen = []
        for index, (block, before) in enumerate(
            zip(self._blocks, known.blocks, strict=True)
        ):
            newest = index == len(self._blocks) - 1
            x, keys = block.advance(x, modulations[index], before, newest)
            seen.append(keys)
        x = F.layer_norm(x[-1], x.shape[-1:])
        hidden = self._project_in.gelu(x)
        return self._project_out(hidden).float(), _Window(tuple(seen))


class _PackedBlock:
    def __init__(self, block: LeWMBlock, dtype: torch.dtype) -> None:
        self.heads = block.heads
        modulation = affine(block.modulation)
        for index in (1, 4):  # scales count from 1
            modulation.bias.chunk(6)[index].add_(1.0)
        self.modulation = modulation.to(dtype)
        qkv = folded(block.attention_norm, block.qkv)
        inner = len(qkv.weight) // 3
        for part in (qkv.weight, qkv.bias):  # the queries' scale
            part[:inner] *= (inner // self.heads) ** -0.5
        self._query = Affine(qkv.weight[:inner], qkv.bias[:inner]).to(dtype)
        self._key_value = Affine(qkv.weight[inner:], qkv.bias[inner:]).to(dtype)
        self._qkv = qkv.to(dtype)
        self._out = affine(block.out).to(dtype)
        self._expand = folded(block.mlp_norm, block.expand).to(dtype)
        self._contract = affine(block.contract).to(dtype)

    def advance(
        self, x: Tensor, modulation: Tensor, before: tuple[KeyValue, ...], newest: bool
    ) -> tuple[Tensor, tuple[KeyValue, ...]]:
        """Tokens (T, rows, D) -> (T, rows, D), or where `newest` the last (1, rows, D).

        Also gives the keys and values of all the window's tokens.
        """
        parts = modulation.chunk(6, dim=-1)
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = parts
        normed = _normed_twice(x, shift, scale)
        queries, keys, values = self._heads(normed, newest)
        if newest:
            x, gate, shift_mlp = x[-1:], gate[-1:], shift_mlp[-1:]
            scale_mlp, gate_mlp = scale_mlp[-1:], gate_mlp[-1:]
        known = (*before, *zip(keys, values, strict=True))
        first = len(known) - len(queries) + 1
        mixed = torch.stack(
            [
                few_step_attention(query, known[: first + place])
                for place, query in enumerate(queries)
            ]
        )
        x = torch.addcmul(x, gate, self._out(mixed.flatten(-2)))
        hidden = self._expand.gelu(_normed_twice(x, shift_mlp, scale_mlp))
        return torch.addcmul(x, gate_mlp, self._contract(hidden)), known

    def _heads(
        self, normed: Tensor, newest: bool
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Queries (of the newest token only, if so wished), keys and values."""
        if newest and len(normed) > 1:
            split = self._key_value(normed).unflatten(-1, (2, self.heads, -1))
            keys, values = split.unbind(dim=-3)
            queries = self._query(normed[-1:]).unflatten(-1, (self.heads, -1))
        else:
            split = self._qkv(normed).unflatten(-1, (3, self.heads, -1))
            queries, keys, values = split.unbind(dim=-3)
        return list(queries), list(keys), list(values)


def _blocks(predictor: LeWMPredictor) -> list[LeWMBlock]:
    return [block for block in predictor.blocks if isinstance(block, LeWMBlock)]


def _projection(predictor: LeWMPredictor) -> Affine:
    """The first projection with the norms around it folded in."""
    inside = folded(predictor.norm, predictor.project_in)
    norm = predictor.project_norm
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight.detach() / (variance + norm.eps).sqrt()
    return Affine(
        inside.weight * scale[:, None],
        (inside.bias - mean) * scale + norm.bias.detach(),
    )


def _normed_twice(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    size = x.shape[-1:]
    once = torch.addcmul(shift, F.layer_norm(x, size, eps=1e-6), scale)
    return F.layer_norm(once, size)

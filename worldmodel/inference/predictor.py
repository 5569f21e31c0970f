"""The predictor packed for planning: the same function, without gradients, faster."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel.inference.affine import affine, few_step_attention, folded
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


class PredictorCopy:
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
        self._enter = affine(predictor.enter).to(dtype)
        self._embed = deepcopy(predictor.action).requires_grad_(False).eval()
        self._blocks = [_PackedBlock(block, dtype) for block in predictor.stack()]
        self._leave = folded(predictor.norm, predictor.leave).to(dtype)

    def modulate(self, actions: Tensor) -> list[Modulation]:
        """What actions (..., A) do to each block."""
        embedded = self._embed(actions).to(self.dtype)
        return [block.modulate(embedded) for block in self._blocks]

    def advance(
        self, latents: Tensor, modulations: list[Modulation], past: Past
    ) -> tuple[Tensor, Past]:
        """Latents (B, N, D) and what the action does -> the next ones, and the past."""
        x = self._enter(latents.to(self.dtype))
        seen = []
        for block, modulation, steps in zip(
            self._blocks, modulations, past.blocks, strict=True
        ):
            x, steps = block.advance(x, modulation, steps)
            seen.append(steps)
        change = self._leave(F.layer_norm(x, x.shape[-1:]))
        return latents + change, Past(tuple(seen))

    @torch.no_grad()
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

    @torch.no_grad()
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
        modulation = affine(block.modulation)
        for index in (1, 2, 4, 5):  # scales and gates count from 1
            modulation.bias.chunk(6)[index].add_(1.0)
        self._modulation = modulation.to(dtype)
        qkv = affine(block.qkv)
        inner = len(qkv.bias) // 3
        for part in (qkv.weight, qkv.bias):  # the queries' scale
            part[:inner] *= (inner // self.heads) ** -0.5
        self._qkv = qkv.to(dtype)
        self._out = affine(block.out).to(dtype)
        self._expand = affine(block.expand).to(dtype)
        self._contract = affine(block.contract).to(dtype)
        # (heads, window), newest first
        biases = block.lag_bias.detach().clone().to(dtype)
        self._biases = biases.flip(1).unbind(dim=1)

    def modulate(self, embedded: Tensor) -> Modulation:
        return self._modulation(embedded).chunk(6, dim=-1)

    def advance(
        self,
        x: Tensor,
        modulation: Modulation,
        steps: tuple[tuple[Tensor, Tensor], ...],
    ) -> tuple[Tensor, tuple[tuple[Tensor, Tensor], ...]]:
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = modulation
        qkv = self._qkv(_normed(x, shift, scale))
        qkv = qkv.unflatten(-1, (3, self.heads, -1))  # (B, N, 3, heads, head width)
        query, key, value = qkv.unbind(dim=-3)
        steps = (*steps, (key, value))[-self.window :]
        biases = self._biases[-len(steps) :]
        mixed = few_step_attention(query, steps, biases)
        x = torch.addcmul(x, gate, self._out(mixed.flatten(-2)))
        hidden = self._expand.gelu(_normed(x, shift_mlp, scale_mlp))
        x = torch.addcmul(x, gate_mlp, self._contract(hidden))
        return x, steps[1:] if len(steps) == self.window else steps


def _normed(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), scale)

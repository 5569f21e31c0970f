"""The action-conditioned latent predictor: what will an action lead to?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ActionPredictorSpec:
    """Architecture of an `ActionPredictor`.

    Attributes:
        latent_dim: width D of a latent.
        action_size: dimensions A of a model step's action.
        width: width of the transformer.
        depth: number of blocks.
        heads: attention heads.
        head_width: width of a head; None for width / heads.
        mlp_ratio: hidden width of the MLP over `width`.
        window: model steps that attention looks back on, itself included.
        dropout: dropout probability in training.
    """

    latent_dim: int = 64
    action_size: int = 5
    width: int = 192
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 2.0
    window: int = 3
    dropout: float = 0.0
    head_width: int | None = None

    def __post_init__(self) -> None:
        for name in ("width", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if not 0.0 < self.mlp_ratio < math.inf:
            raise ValueError(
                f"mlp_ratio must be positive and finite, got {self.mlp_ratio}"
            )
        if self.head_width is None and self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads={self.heads}, got {self.width}"
            )
        for name in ("latent_dim", "action_size", "depth", "window"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.head_width is not None and self.head_width < 1:
            raise ValueError(f"head_width must be at least 1, got {self.head_width}")

    @property
    def inner(self) -> int:
        """Width of all heads together."""
        return self.heads * (self.head_width or self.width // self.heads)


@dataclass(frozen=True)
class Cache:
    """Keys and values of the steps that attention still sees.

    Attributes:
        keys: per block (rows, heads, steps, head width), newest last.
        values: likewise.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def repeat(self, times: int) -> Cache:
        """Each row `times` times in a row: one history shared by its candidates."""
        return Cache(
            tuple(key.repeat_interleave(times, dim=0) for key in self.keys),
            tuple(value.repeat_interleave(times, dim=0) for value in self.values),
        )


class PredictorBlock(nn.Module):
    """Attention over time and an MLP, both modulated by the action (AdaLN).

    Peebles & Xie 2023: the action gives a shift, a scale and a gate for each.
    """

    def __init__(self, spec: ActionPredictorSpec) -> None:
        super().__init__()
        width, hidden = spec.width, int(spec.width * spec.mlp_ratio)
        self.heads, self.window = spec.heads, spec.window
        self.modulation = nn.Linear(_ACTION_WIDTH, 6 * width)
        inner = spec.inner
        self.qkv = nn.Linear(width, 3 * inner)
        self.out = nn.Linear(inner, width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.lag_bias = nn.Parameter(torch.zeros(spec.heads, spec.window))
        self.dropout = nn.Dropout(spec.dropout)

    def forward(
        self, x: Tensor, modulation: Tensor, keys: Tensor | None, values: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x (rows, T, width) with the cached past -> x, and the cache to keep.

        `modulation` (rows, T, 6 width) is `self.modulation` of the actions.
        """
        parts = modulation.chunk(6, dim=-1)
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = parts
        query, key, value = self._heads(_modulate(x, shift, scale))
        if keys is not None and values is not None:
            key = torch.cat((keys, key), dim=2)
            value = torch.cat((values, value), dim=2)
        mixed = self._attend(query, key, value)
        x = x + (1 + gate) * self.dropout(self.out(mixed))
        hidden = F.gelu(self.expand(_modulate(x, shift_mlp, scale_mlp)))
        x = x + (1 + gate_mlp) * self.dropout(self.contract(hidden))
        keep = self.window - 1
        kept = key.shape[2] - keep
        return x, key[:, :, max(kept, 0) :], value[:, :, max(kept, 0) :]

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (rows, heads, T, head width)
        return query, key, value

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        rows, heads, steps, head_width = query.shape
        bias = self._bias(steps, key.shape[2], query.device)
        query = query * head_width**-0.5
        if steps == 1:  # many tiny products: sums are faster than matrix calls
            scores = (query * key).sum(-1)[..., None, :] + bias
            mixed = (scores.softmax(dim=-1).transpose(-2, -1) * value).sum(2, True)
        else:
            scores = query @ key.transpose(-2, -1) + bias
            mixed = scores.softmax(dim=-1) @ value
        return mixed.transpose(1, 2).reshape(rows, steps, heads * head_width)

    def _bias(self, steps: int, seen: int, device: torch.device) -> Tensor:
        """(heads, steps, seen): a learned bias per lag, -inf outside the window."""
        ends = torch.arange(seen - steps, seen, device=device)
        lag = ends[:, None] - torch.arange(seen, device=device)
        hidden = (lag < 0) | (lag >= self.window)
        bias = self.lag_bias[:, lag.clamp(0, self.window - 1)]
        return bias.masked_fill(hidden, float("-inf"))


_ACTION_WIDTH = 64


class ActionPredictor(nn.Module):
    """A causal transformer over model steps with a window of a few steps.

    A step's token is its latent; its action enters through AdaLN. Positions are
    relative (a learned bias per lag), and training and planning share one banded
    mask, so that a cached roll-out gives what the uncached one gives.
    """

    def __init__(self, spec: ActionPredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.enter = nn.Linear(spec.latent_dim, spec.width)
        self.action = nn.Sequential(
            nn.Linear(spec.action_size, _ACTION_WIDTH),
            nn.SiLU(),
            nn.Linear(_ACTION_WIDTH, _ACTION_WIDTH),
            nn.SiLU(),
        )
        self.blocks = nn.ModuleList(PredictorBlock(spec) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(spec.width)
        self.leave = nn.Linear(spec.width, spec.latent_dim)
        nn.init.zeros_(self.leave.bias)
        with torch.no_grad():
            self.leave.weight.mul_(0.1)

    def forward(self, latents: Tensor, actions: Tensor) -> Tensor:
        """One-step predictions from true latents (teacher forcing).

        Args:
            latents: (B, T, D).
            actions: (B, T, A) in [-1, 1], the action taken at each latent.

        Returns:
            (B, T, D): at t the prediction of the latent at t + 1, from the last
            `window` latents and actions up to t.
        """
        return self.advance(latents, self.modulate(actions), None)[0]

    def modulate(self, actions: Tensor) -> list[Tensor]:
        """What actions (..., A) do to each block, (..., 6 width) per block."""
        embedded = self.action(actions)
        return [block.modulation(embedded) for block in self.stack()]

    def stack(self) -> list[PredictorBlock]:
        """The blocks, in order."""
        blocks = list(self.blocks)
        assert all(isinstance(block, PredictorBlock) for block in blocks)
        return cast(list[PredictorBlock], blocks)

    def advance(
        self, latents: Tensor, modulations: list[Tensor], cache: Cache | None
    ) -> tuple[Tensor, Cache]:
        """Continues from a cache by T steps.

        Args:
            latents: (rows, T, D).
            modulations: `modulate` of the actions (rows, T, A).
            cache: what the steps before left, None at the start.

        Returns:
            The next latents (rows, T, D), and the cache to go on from.
        """
        x = self.enter(latents)
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for index, block in enumerate(self.stack()):
            past = (None, None)
            if cache is not None:
                past = (cache.keys[index], cache.values[index])
            x, key, value = block(x, modulations[index], *past)
            keys.append(key)
            values.append(value)
        change = self.leave(self.norm(x))
        return latents + change, Cache(tuple(keys), tuple(values))

    def rollout(self, latents: Tensor, past_actions: Tensor, actions: Tensor) -> Tensor:
        """Imagines what actions lead to; differentiable.

        Args:
            latents: (B, T, D) the past up to now.
            past_actions: (B, T - 1, A) the actions between them.
            actions: (B, N, H, A) candidates.

        Returns:
            (B, N, H, D): the latent after each action.
        """
        batch, candidates, horizon, size = actions.shape
        cache = self.history(latents, past_actions, candidates)
        now = latents[:, -1:].repeat_interleave(candidates, dim=0)  # (B N, 1, D)
        flat = actions.reshape(batch * candidates, horizon, size)
        modulations = self.modulate(flat)  # for all steps at once
        imagined = []
        for step in range(horizon):
            here = [part[:, step : step + 1] for part in modulations]
            now, cache = self.advance(now, here, cache)
            imagined.append(now)
        future = torch.cat(imagined, dim=1)  # (B N, H, D)
        return future.view(batch, candidates, horizon, -1)

    def history(
        self, latents: Tensor, past_actions: Tensor, candidates: int
    ) -> Cache | None:
        """The past's keys and values, computed once, one row per candidate.

        Arguments as `rollout`'s; None where nothing came before the newest latent.
        """
        past = latents[:, :-1]
        if past.shape[1] == 0:
            return None
        # Depth times the window can matter; what is older can not.
        reach = self.spec.depth * (self.spec.window - 1)
        past, taken = past[:, -reach:], past_actions[:, -reach:]
        modulations = self.modulate(taken)
        return self.advance(past, modulations, None)[1].repeat(candidates)


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift

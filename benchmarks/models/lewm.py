"""LeWorldModel's predictor: one token a frame, absolute positions in a short window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.errors import CheckpointError


@dataclass(frozen=True)
class LeWMSpec:
    """Architecture of a `LeWMPredictor`; the defaults are the published one.

    Attributes:
        latent_dim: width D of a latent and of the transformer.
        action_size: dimensions A of a step's action, blocks side by side.
        action_mixed: numbers that an action is mixed into first.
        action_hidden: width between the layers of the action's embedding.
        depth: number of blocks.
        heads: attention heads.
        head_width: width of a head.
        hidden: width of a block's MLP.
        window: frames that the predictor sees.
        projected: width of the MLP that the prediction passes last.
    """

    latent_dim: int = 192
    action_size: int = 10
    action_mixed: int = 10
    action_hidden: int = 768
    depth: int = 6
    heads: int = 16
    head_width: int = 64
    hidden: int = 2048
    window: int = 3
    projected: int = 2048

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")

    @property
    def inner(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_width


class LeWMBlock(nn.Module):
    """Attention and an MLP, each normalised, modulated by the action, normalised again.

    AdaLN-zero (Peebles & Xie 2023) before the layers' own norms.
    """

    def __init__(self, spec: LeWMSpec) -> None:
        super().__init__()
        dim = spec.latent_dim
        self.heads = spec.heads
        self.modulation = nn.Linear(dim, 6 * dim)
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * spec.inner, bias=False)
        self.out = nn.Linear(spec.inner, dim)
        self.mlp_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, spec.hidden)
        self.contract = nn.Linear(spec.hidden, dim)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """x (rows, T, D) under embedded actions (rows, T, D) -> (rows, T, D)."""
        parts = self.modulation(F.silu(embedded)).chunk(6, dim=-1)
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = parts
        x = x + gate * self._attend(_modulated(x, shift, scale))
        hidden = self.expand(self.mlp_norm(_modulated(x, shift_mlp, scale_mlp)))
        return x + gate_mlp * self.contract(F.gelu(hidden))

    def _attend(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (rows, heads, T, head width)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class LeWMPredictor(nn.Module):
    """Frames' latents and actions -> the next latents.

    The window slides over absolute positions, so nothing of one step's work is exact in
    the next: this is the published function, not one that we would train. Maes et al.
    2026, LeWorldModel.
    """

    def __init__(self, spec: LeWMSpec) -> None:
        super().__init__()
        self.spec = spec
        dim = spec.latent_dim
        self.mix = nn.Linear(spec.action_size, spec.action_mixed)
        self.embed = nn.Sequential(
            nn.Linear(spec.action_mixed, spec.action_hidden),
            nn.SiLU(),
            nn.Linear(spec.action_hidden, dim),
        )
        self.positions = nn.Parameter(torch.zeros(spec.window, dim))
        self.blocks = nn.ModuleList(LeWMBlock(spec) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(dim)
        self.project_in = nn.Linear(dim, spec.projected)
        self.project_norm = nn.BatchNorm1d(spec.projected)
        self.project_out = nn.Linear(spec.projected, dim)

    def forward(self, latents: Tensor, actions: Tensor) -> Tensor:
        """Latents and actions (rows, T, ·), T <= `window`, -> the next (rows, T, D)."""
        x = latents + self.positions[: latents.shape[1]]
        embedded = self.embed(self.mix(actions))
        for block in self.blocks:
            x = block(x, embedded)
        hidden = self.project_in(self.norm(x)).flatten(0, 1)
        hidden = F.gelu(self.project_norm(hidden)).unflatten(0, x.shape[:2])
        return self.project_out(hidden)

    def rollout(self, latents: Tensor, past_actions: Tensor, actions: Tensor) -> Tensor:
        """Imagines what actions lead to, step by step and window by window.

        Args:
            latents: (B, T, D) the past up to now.
            past_actions: (B, T - 1, A) the actions between them.
            actions: (B, N, H, A) candidates.

        Returns:
            (B, N, H, D): the latent after each action.
        """
        batch, candidates, horizon, _ = actions.shape
        seen = latents.repeat_interleave(candidates, dim=0)  # (B N, T, D)
        taken = past_actions.repeat_interleave(candidates, dim=0)
        flat, window = actions.flatten(0, 1), self.spec.window
        for step in range(horizon):
            taken = torch.cat((taken, flat[:, step : step + 1]), dim=1)
            after = self(seen[:, -window:], taken[:, -window:])[:, -1:]
            seen = torch.cat((seen, after), dim=1)
        return seen[:, -horizon:].unflatten(0, (batch, candidates))

    @classmethod
    def from_published(
        cls, tensors: Mapping[str, Tensor], spec: LeWMSpec
    ) -> LeWMPredictor:
        """Takes the weights of a published LeWorldModel, all but its encoder's.

        Args:
            tensors: by the names of the published checkpoints.
            spec: the architecture.

        Raises:
            CheckpointError: a tensor is missing, extra or has another shape.
        """
        parts = ("action_encoder.", "predictor.", "pred_proj.")
        given = {k: v for k, v in tensors.items() if k.startswith(parts)}
        names = _published_names(spec.depth)
        missing, extra = names.keys() - given.keys(), given.keys() - names.keys()
        if missing or extra:
            raise CheckpointError(
                f"a LeWorldModel of depth {spec.depth} lacks {sorted(missing)} and has "
                f"unknown {sorted(extra)}; take the whole checkpoint and its depth"
            )
        made = cls(spec).eval().requires_grad_(False)
        own = made.state_dict()
        for name, tensor in given.items():
            target = own[names[name]]
            if tensor.squeeze().shape != target.squeeze().shape:
                raise CheckpointError(
                    f"{name} has shape {tuple(tensor.shape)}, but {spec} needs "
                    f"{tuple(target.shape)}"
                )
            target.copy_(tensor.reshape(target.shape))
        return made


def _published_names(depth: int) -> dict[str, str]:
    """Names of tensors in published checkpoints -> ours."""
    names = {
        "action_encoder.patch_embed": "mix",
        "action_encoder.embed.0": "embed.0",
        "action_encoder.embed.2": "embed.2",
        "predictor.transformer.norm": "norm",
        "pred_proj.net.0": "project_in",
        "pred_proj.net.1": "project_norm",
        "pred_proj.net.3": "project_out",
    }
    for layer in range(depth):
        theirs, ours = f"predictor.transformer.layers.{layer}", f"blocks.{layer}"
        names[f"{theirs}.adaLN_modulation.1"] = f"{ours}.modulation"
        names[f"{theirs}.attn.norm"] = f"{ours}.attention_norm"
        names[f"{theirs}.attn.to_out.0"] = f"{ours}.out"
        names[f"{theirs}.mlp.net.0"] = f"{ours}.mlp_norm"
        names[f"{theirs}.mlp.net.1"] = f"{ours}.expand"
        names[f"{theirs}.mlp.net.4"] = f"{ours}.contract"
    both = {
        f"{theirs}.{kind}": f"{ours}.{kind}"
        for theirs, ours in names.items()
        for kind in ("weight", "bias")
    }
    for layer in range(depth):
        theirs = f"predictor.transformer.layers.{layer}.attn.to_qkv.weight"
        both[theirs] = f"blocks.{layer}.qkv.weight"
    for kind in ("running_mean", "running_var", "num_batches_tracked"):
        both[f"pred_proj.net.1.{kind}"] = f"project_norm.{kind}"
    both["predictor.pos_embedding"] = "positions"
    return both


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift

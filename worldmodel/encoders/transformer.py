"""Pre-norm transformer blocks with rotary positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.encoders.rope import Rotation, rotate

EXPLICIT_SCORES = 512 * 512  # tokens squared up to which scores may be held on a CPU


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention of (B, heads, tokens, head_dim), same shape out.

    On a CPU short sequences go through plain matrix products: the fused kernel's
    backward pass in bfloat16 is seven times slower there.
    """
    if (
        query.device.type == "cpu"
        and query.shape[-2] * key.shape[-2] <= EXPLICIT_SCORES
    ):
        scale = query.shape[-1] ** -0.5
        scores = (query * scale) @ key.transpose(-2, -1)
        return scores.softmax(dim=-1) @ value
    return F.scaled_dot_product_attention(query, key, value)


class Attention(nn.Module):
    """Self-attention of all tokens to all tokens, (B, tokens, D) -> same shape."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads={heads}, got {dim}")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, positions: Rotation) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads)
        qk = rotate(qkv[:, :, :2], positions)
        query = qk[:, :, 0].transpose(1, 2)  # (B, heads, tokens, head_dim)
        key = qk[:, :, 1].transpose(1, 2)
        value = qkv[:, :, 2].transpose(1, 2)
        mixed = attend(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, dim))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); (B, tokens, D) -> same shape."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.norm_mlp = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, hidden)
        self.contract = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, positions: Rotation) -> Tensor:
        x = x + self.attention(self.norm_attention(x), positions)
        return x + self.contract(F.gelu(self.expand(self.norm_mlp(x))))


class Transformer(nn.Module):
    """A stack of blocks and a final LayerNorm, (B, tokens, D) -> same shape."""

    def __init__(self, dim: int, depth: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head_dim = dim // heads

    def forward(self, x: Tensor, positions: Rotation) -> Tensor:
        for block in self.blocks:
            x = block(x, positions)
        return self.norm(x)


def initialise(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draws every linear layer's weights N(0, 1 / inputs), with zero biases.

    The layers that write into the residual stream are scaled by 1/sqrt(2 depth), so
    that its variance does not grow with depth (Radford et al. 2019).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            std = layer.in_features**-0.5
            nn.init.trunc_normal_(
                layer.weight, std=std, a=-2 * std, b=2 * std, generator=generator
            )
            nn.init.zeros_(layer.bias)
    for stack in module.modules():
        if isinstance(stack, Transformer):
            _shrink_residual_writers(stack)


@torch.no_grad()
def _shrink_residual_writers(stack: Transformer) -> None:
    scale = (2 * max(1, len(stack.blocks))) ** -0.5
    for block in stack.blocks:
        assert isinstance(block, Block)
        block.attention.out.weight.mul_(scale)
        block.contract.weight.mul_(scale)

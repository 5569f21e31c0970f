"""The blocks of a predictor of patch tokens, and what they may look at."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.encoders.published.vjepa2 import MLP
from worldmodel.predictors.patch_predictor_spec import PatchPredictorSpec
from worldmodel.predictors.tiled_rope import Turn, turned

EPS = 1e-6  # of layer norms, as published
KeysValues = tuple[Tensor, Tensor]
"""Keys and values of some frames' tokens, (rows, heads, tokens, head width) each."""


class PatchBlock(nn.Module):
    """Pre-norm attention with positions, and an MLP."""

    def __init__(self, spec: PatchPredictorSpec) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(spec.width, eps=EPS)
        self.attn = _Attention(spec)
        self.norm2 = nn.LayerNorm(spec.width, eps=EPS)
        self.mlp = MLP(spec.width, spec.hidden)

    def forward(
        self, x: Tensor, turn: Turn, past: KeysValues | None, mask: Tensor | None
    ) -> tuple[Tensor, KeysValues]:
        """x (rows, tokens, width) after past frames -> x, and keys and values."""
        mixed, frames = self.attn(self.norm1(x), turn, past, mask)
        x = x + mixed
        return x + self.mlp(self.norm2(x)), frames


class _Attention(nn.Module):
    def __init__(self, spec: PatchPredictorSpec) -> None:
        super().__init__()
        inner = spec.heads * spec.head_dim
        self.heads = spec.heads
        self.qkv = nn.Linear(spec.width, 3 * inner)  # heads of q and k in halves
        self.proj = nn.Linear(inner, spec.width)

    def forward(
        self, x: Tensor, turn: Turn, past: KeysValues | None, mask: Tensor | None
    ) -> tuple[Tensor, KeysValues]:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        query, key = turned(qkv[:, :, :2], turn).transpose(1, 3).unbind(dim=2)
        value = qkv[:, :, 2].transpose(1, 2)
        if past is not None:
            key = torch.cat((past[0].expand(len(key), -1, -1, -1), key), dim=2)
            value = torch.cat((past[1].expand(len(key), -1, -1, -1), value), dim=2)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.proj(mixed.transpose(1, 2).flatten(2)), (key, value)


def frame_mask(
    frames: int, each: int, window: int | None, device: torch.device
) -> Tensor | None:
    """Bool (tokens, tokens): true where a token may look; None for one frame.

    Args:
        frames: how many.
        each: tokens of a frame.
        window: frames that attention looks back on, the present one included, or None.
        device: of the mask.
    """
    if frames == 1:
        return None
    time = torch.arange(frames, device=device).repeat_interleave(each)
    lag = time[:, None] - time
    return (lag >= 0) & (lag < (frames if window is None else window))


def newest(past: KeysValues, reach: int | None, each: int) -> KeysValues | None:
    """The last `reach` frames of `each` tokens, all where it is None; None for none."""
    if reach is None:
        return past
    if reach == 0:
        return None
    return past[0][:, :, -reach * each :], past[1][:, :, -reach * each :]

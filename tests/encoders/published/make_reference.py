"""Writes what transformers' V-JEPA 2 makes of small random weights and clips.

    python -m tests.encoders.published.make_reference

Needs transformers; `test_vjepa2.py` compares with the file without it. Written with
transformers 5.24.0, torch 2.13.0.
"""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

from tests.encoders.published.layouts import PATCH, TUBELET, Sizes, film, hf_tensors
from worldmodel.encoders.published.preparation import Preparation, prepare

FILE = Path(__file__).parent / "vjepa2_reference.safetensors"
# Sizes and frames of a clip: 64 and 80 wide heads among them, as published.
CASES = {
    "small": (Sizes(), 2),
    "long": (Sizes(), 16),
    "g": (Sizes(dim=132, heads=6, depth=4, hidden=576, crop=32), 4),
    "heads of 64": (Sizes(dim=128, heads=2, depth=2, hidden=512, crop=48), 6),
    "heads of 80": (Sizes(dim=160, heads=2, depth=3, hidden=640, crop=64), 2),
}


def theirs(sizes: Sizes, clips: torch.Tensor) -> torch.Tensor:
    """Tokens that transformers makes of clips uint8 (B, T, crop, crop, 3)."""
    config = transformers.VJEPA2Config(
        patch_size=PATCH,
        tubelet_size=TUBELET,
        crop_size=sizes.crop,
        frames_per_clip=clips.shape[1],
        hidden_size=sizes.dim,
        num_attention_heads=sizes.heads,
        num_hidden_layers=sizes.depth,
        mlp_ratio=sizes.hidden / sizes.dim,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )
    model = transformers.VJEPA2Model(config).eval()
    tensors = hf_tensors(sizes.tensors())
    encoder = {k: v for k, v in tensors.items() if k.startswith("encoder.")}
    missing, extra = model.load_state_dict(encoder, strict=False)
    assert not extra
    assert all(name.startswith("predictor.") for name in missing)
    how = Preparation(sizes.crop, sizes.crop)
    pixels = prepare(clips.flatten(0, 1), how).unflatten(0, clips.shape[:2])
    with torch.no_grad():
        return model.get_vision_features(pixels)


def main() -> None:
    """Writes the file; of each token the first four numbers."""
    told = {
        name: theirs(sizes, film(2, frames, sizes.crop))[..., :4].contiguous()
        for name, (sizes, frames) in CASES.items()
    }
    save_file(told, FILE)


if __name__ == "__main__":
    main()

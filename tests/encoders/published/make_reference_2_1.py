"""Writes what the official V-JEPA 2.1 makes of small random weights and clips.

    VJEPA2_SOURCE=vjepa2 python -m tests.encoders.published.make_reference_2_1

`VJEPA2_SOURCE` is a checkout of facebookresearch/vjepa2 at 16de6c8 or later, of which
nothing is ours. `test_vjepa2_1.py` compares with the file. Written with torch 2.13.0.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.encoders.published.layouts import Sizes, film, newer_tensors
from worldmodel.encoders.published.preparation import Preparation, prepare

FILE = Path(__file__).parent / "vjepa2_1_reference.safetensors"
# Sizes and frames of a clip; the official code knows few depths, 12 among them.
CASES = {
    "two frames": (Sizes(dim=48, depth=12), 2),
    "long": (Sizes(dim=48, depth=12, crop=48), 8),
    "heads of 64": (Sizes(dim=128, depth=12, hidden=256, crop=64), 4),
}


def official() -> types.ModuleType:
    """The official code; it asks timm and einops for what is never called here."""
    sys.path.insert(0, os.environ["VJEPA2_SOURCE"])
    for name, lacks in (
        ("timm", ""),
        ("timm.models", ""),
        ("timm.models.layers", "drop_path"),
        ("einops", "rearrange"),
    ):
        sys.modules[name] = types.ModuleType(name)
        if lacks:
            setattr(sys.modules[name], lacks, None)
    return importlib.import_module("app.vjepa_2_1.models.vision_transformer")


def theirs(code: types.ModuleType, sizes: Sizes, clips: torch.Tensor) -> torch.Tensor:
    """Tokens of clips uint8 (B, T, crop, crop, 3), by the way of clips."""
    model = code.VisionTransformer(
        img_size=(sizes.crop, sizes.crop),
        num_frames=64,
        embed_dim=sizes.dim,
        depth=sizes.depth,
        num_heads=sizes.heads,
        mlp_ratio=sizes.hidden / sizes.dim,
        use_rope=True,
        use_sdpa=False,
        img_temporal_dim_size=1,
        interpolate_rope=True,
        norm_layer=lambda dim: torch.nn.LayerNorm(dim, eps=1e-6),
    ).eval()
    model.load_state_dict(newer_tensors(sizes))
    how = Preparation(sizes.crop, sizes.crop)
    pixels = prepare(clips.flatten(0, 1), how).unflatten(0, clips.shape[:2])
    with torch.no_grad():
        return model(pixels.transpose(1, 2))


def main() -> None:
    """Writes the file; of each token the first four numbers."""
    code = official()
    told = {
        name: theirs(code, sizes, film(2, frames, sizes.crop))[..., :4].contiguous()
        for name, (sizes, frames) in CASES.items()
    }
    save_file(told, FILE)


if __name__ == "__main__":
    main()

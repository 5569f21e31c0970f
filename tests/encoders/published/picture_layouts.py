"""Small picture encoders of chance, saved as on the hub; needs transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

SIDE, PATCH = 32, 8
_SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": PATCH,
}
_WIDE = {"intermediate_size": 48}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_SQUARE = {"size": {"height": SIDE, "width": SIDE}, "resample": 2}
_CUT = {
    "size": {"shortest_edge": 36},
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "resample": 3,
}
# Config class, model class that is saved, options, and the preparation.
FAMILIES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "dinov2": ("Dinov2Config", "Dinov2Model", {}, _CUT | _IMAGENET),
    "dinov2_with_registers": (
        "Dinov2WithRegistersConfig",
        "Dinov2WithRegistersModel",
        {"num_register_tokens": 3},
        _CUT | _IMAGENET,
    ),
    "dinov3_vit": (
        "DINOv3ViTConfig",
        "DINOv3ViTModel",
        {**_WIDE, "num_register_tokens": 4},
        _SQUARE | _IMAGENET,
    ),
    "ijepa": ("IJepaConfig", "IJepaModel", _WIDE, _SQUARE | _IMAGENET),
    "vit_mae": (
        "ViTMAEConfig",
        "ViTMAEForPreTraining",
        {
            **_WIDE,
            "decoder_hidden_size": 16,
            "decoder_num_hidden_layers": 1,
            "decoder_num_attention_heads": 2,
            "decoder_intermediate_size": 16,
        },
        _SQUARE | _IMAGENET,
    ),
    "siglip": ("SiglipConfig", "SiglipModel", {}, _SQUARE | _HALF),
}


def write_pictures(folder: Path, kind: str, seed: int = 0) -> Any:
    """Writes the folder of one family; gives the model that was saved."""
    import transformers

    config_name, model_name, options, preparation = FAMILIES[kind]
    sizes = _SIZES | options
    if kind == "siglip":
        text = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
        text |= {"vocab_size": 16, "intermediate_size": 16, "projection_size": 24}
        parts = {"vision_config": _SIZES | _WIDE, "text_config": text}
        config = getattr(transformers, config_name)(**parts)
    else:
        config = getattr(transformers, config_name)(**sizes)
    model = getattr(transformers, model_name)(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            std = 0.3 if weight.dim() > 1 or "bias" in name else 0.5
            weight.normal_(0.0, std, generator=generator)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation))
    return model

"""V-JEPA 2's two file layouts, with tensors of chance and small sizes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

PATCH, TUBELET = 16, 2
HF_PARTS = ("query", "key", "value")


@dataclass(frozen=True)
class Sizes:
    """Of an encoder, and the square that it sees."""

    dim: int = 32
    heads: int = 2
    depth: int = 2
    hidden: int = 64
    crop: int = 32

    def tensors(self, seed: int = 0) -> dict[str, Tensor]:
        """An encoder's tensors, by the names of the .pt files."""
        generator = torch.Generator().manual_seed(seed)
        shapes = {
            "patch_embed.proj.weight": (self.dim, 3, TUBELET, PATCH, PATCH),
            "patch_embed.proj.bias": (self.dim,),
        }
        for block in range(self.depth):
            for name, shape in self._block().items():
                shapes[f"blocks.{block}.{name}"] = shape
        shapes |= {"norm.weight": (self.dim,), "norm.bias": (self.dim,)}
        return {
            name: torch.randn(shape, generator=generator)
            * (0.5 if len(shape) == 1 else shape[0] ** -0.5)
            for name, shape in shapes.items()
        }

    def _block(self) -> dict[str, tuple[int, ...]]:
        dim, hidden = self.dim, self.hidden
        layers = {
            "attn.qkv": (3 * dim, dim),
            "attn.proj": (dim, dim),
            "mlp.fc1": (hidden, dim),
            "mlp.fc2": (dim, hidden),
        }
        shapes: dict[str, tuple[int, ...]] = {}
        for norm in ("norm1", "norm2"):
            shapes |= {f"{norm}.weight": (dim,), f"{norm}.bias": (dim,)}
        for name, shape in layers.items():
            shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        return shapes


SMALL = Sizes()


def write_pt(path: Path, sizes: Sizes = SMALL, seed: int = 0) -> Path:
    """Writes the original layout; `encoder` is another one than `target_encoder`."""
    pos_embed = torch.zeros(1, 4, sizes.dim)
    target, online = (
        {f"module.backbone.{name}": tensor for name, tensor in tensors.items()}
        for tensors in (
            sizes.tensors(some) | {"pos_embed": pos_embed} for some in (seed, seed + 1)
        )
    )
    predictor = {"module.backbone.mask_tokens.0": torch.zeros(1, 1, 8)}
    torch.save(
        {
            "encoder": online,
            "predictor": predictor,
            "target_encoder": target,
            "opt": {"state": {}, "param_groups": [{"lr": 0.1}]},
            "scaler": None,
            "epoch": 3,
            "loss": 0.5,
            "batch_size": 1,
            "world_size": 1,
            "lr": 0.1,
        },
        path,
    )
    return path


def newer_tensors(sizes: Sizes, seed: int = 0) -> dict[str, Tensor]:
    """V-JEPA 2.1's encoder: four norms, and a way of pictures."""
    tensors, generator = sizes.tensors(seed), torch.Generator().manual_seed(seed + 9)

    def chance(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.1

    last = {name: tensors.pop(f"norm.{name}") for name in ("weight", "bias")}
    for level in range(4):
        for name, tensor in last.items():
            told = tensor if level == 3 else chance(sizes.dim)
            tensors[f"norms_block.{level}.{name}"] = told
    tensors["patch_embed_img.proj.weight"] = chance(sizes.dim, 3, 1, PATCH, PATCH)
    tensors["patch_embed_img.proj.bias"] = chance(sizes.dim)
    for name in ("img_mod_embed", "video_mod_embed"):
        tensors[name] = chance(1, 1, sizes.dim)
    return tensors


def write_newer_pt(
    path: Path, sizes: Sizes = SMALL, seed: int = 0, key: str = "target_encoder"
) -> Path:
    """Writes V-JEPA 2.1's layout; its encoder under a key."""
    tensors = newer_tensors(sizes, seed)
    named = {f"module.backbone.{name}": tensor for name, tensor in tensors.items()}
    predictor = {"module.backbone.predictor_proj_context.bias": torch.zeros(8)}
    torch.save({"predictor": predictor, key: named, "epoch": 3}, path)
    return path


def hf_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by the names of the Hugging Face layout, and a predictor's."""
    named = {"predictor.embeddings.mask_tokens": torch.zeros(10, 1, 1, 8)}
    for name, tensor in tensors.items():
        if name.startswith("patch_embed."):
            part = name.removeprefix("patch_embed.")
            name = f"encoder.embeddings.patch_embeddings.{part}"
        elif name.startswith("norm."):
            name = f"encoder.layernorm.{name.removeprefix('norm.')}"
        else:
            name = name.replace("blocks.", "encoder.layer.", 1)
            name = name.replace(".attn.", ".attention.")
        if ".qkv." in name:
            for part, value in zip(HF_PARTS, tensor.chunk(3), strict=True):
                named[name.replace("qkv", part)] = value.contiguous()
        else:
            named[name] = tensor
    return named


def write_folder(
    folder: Path, sizes: Sizes = SMALL, seed: int = 0, shards: int = 1
) -> Path:
    """Writes the Hugging Face layout, in one file or in several."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "vjepa2",
        "patch_size": PATCH,
        "tubelet_size": TUBELET,
        "crop_size": sizes.crop,
        "hidden_size": sizes.dim,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.depth,
        "mlp_ratio": sizes.hidden / sizes.dim,
        "in_chans": 3,
        "qkv_bias": True,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
    }
    (folder / "config.json").write_text(json.dumps(config))
    tensors = hf_tensors(sizes.tensors(seed))
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names, places = sorted(tensors), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        some = names[shard::shards]
        save_file({name: tensors[name] for name in some}, folder / file)
        places |= dict.fromkeys(some, file)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def film(count: int, frames: int, side: int, seed: int = 0) -> Tensor:
    """Frames of chance, uint8 (B, T, side, side, 3)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, frames, side, side, 3)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)

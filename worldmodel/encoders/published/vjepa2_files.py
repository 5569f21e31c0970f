"""V-JEPA 2's two file formats: what their tensors are called here, each used once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from worldmodel.encoders.published.preparation import Preparation
from worldmodel.encoders.published.spec import Reading
from worldmodel.encoders.published.vjepa2 import CHANNELS, VJEPA2Spec
from worldmodel.encoders.published.weight_files import read_safetensors
from worldmodel.errors import CheckpointError
from worldmodel.files.json_file import short
from worldmodel.files.torch_file import read_torch_file

ENCODERS = ("encoder", "target_encoder", "ema_encoder")
# What else the published .pt files hold; none of it is read.
BESIDE = ("predictor", "epoch", "opt", "scaler", "loss", "batch_size", "world_size")
BESIDE += ("lr", *ENCODERS)
WRAPPED = ("module.", "backbone.")  # by what trained it
UNUSED_PT = ("pos_embed",)  # of before the rotary positions; the code leaves it out
UNUSED_HF = ("predictor.", "pooler.", "classifier.")
# Of ViT-B, -L, -H, -g and -G, by width.
HEADS = {768: 12, 1024: 16, 1280: 16, 1408: 22, 1664: 26}
CROP, CROP_384 = 256, 384  # [px]
STEM_384 = "vitg-384"  # the one .pt file of V-JEPA 2 that was trained at 384
# What V-JEPA 2.1 alone has, and what of it tokens of clips are not computed with: norms
# of earlier layers, and the way of pictures. The last norm is that of the tokens.
NEWER = ("norms_block.", "patch_embed_img.", "img_mod_embed", "video_mod_embed")
UNUSED_NEWER = ("norms_block.0.", "norms_block.1.", "norms_block.2.", *NEWER[1:3])
LAST_NORM = "norms_block.3."
_SHOWN = 8  # names that a message lists
_HF_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)")
_FUSED = ("query", "key", "value")


class Found(NamedTuple):
    """What files of V-JEPA 2 hold.

    Attributes:
        spec: the architecture.
        preparation: of pictures.
        tensors: by the names of `VJEPA2`, as they are in the file.
        weights: which encoder of a .pt file they are, "" where there is one.
    """

    spec: VJEPA2Spec
    preparation: Preparation
    tensors: dict[str, Tensor]
    weights: str


def published_preparation(crop: int, resize: int | None) -> Preparation:
    """Short side to 256 / 224 of the crop, as published, where nothing is said."""
    return Preparation(crop, int(crop * 256 / 224) if resize is None else resize)


def from_pt(path: Path, reading: Reading) -> Found:
    """Reads an original .pt file.

    Raises:
        CheckpointError: it is damaged, not of V-JEPA 2, or holds a tensor that has no
            place.
    """
    file = read_torch_file(path)
    which = _which(file, reading, path)
    strange = sorted(str(key) for key in set(file) - set(BESIDE))
    if strange:
        raise CheckpointError(
            f"{path} holds {_listed(strange)} beside its encoder, known are "
            f"{', '.join(BESIDE)}: take a file that was published for V-JEPA 2"
        )
    told = _tensors(file[which], f"{path}: {which}")
    newer = any(_unwrapped(name).startswith(NEWER) for name in told)
    unused = UNUSED_PT + UNUSED_NEWER * newer
    tensors = _renamed(told, _pt_name, unused, path)
    spec = _spec(tensors, reading.heads, path, newer)
    crop = reading.crop or (CROP_384 if newer or path.stem == STEM_384 else CROP)
    return Found(spec, published_preparation(crop, reading.resize), tensors, which)


def from_folder(folder: Path, config: Mapping[str, Any], reading: Reading) -> Found:
    """Reads a Hugging Face folder whose config.json has `model_type` vjepa2.

    Raises:
        CheckpointError: a file is missing or damaged, the tensors are not those that
            config.json describes, or one has no place.
    """
    if reading.weights is not None:
        raise CheckpointError(
            f"{folder} holds one encoder, got weights={reading.weights}: leave that out"
        )
    place = folder / "config.json"
    for key, wanted in (
        ("in_chans", CHANNELS),
        ("qkv_bias", True),
        ("hidden_act", "gelu"),
        ("layer_norm_eps", 1e-6),
    ):
        if config.get(key, wanted) != wanted:
            raise CheckpointError(
                f"{place}: {key} must be {wanted!r}, as in every published V-JEPA 2, "
                f"got {config[key]!r}"
            )
    told = read_safetensors(folder)
    prefix = "vjepa2."  # of a classifier's weights
    if any(name.startswith(prefix) for name in told):
        told = {name.removeprefix(prefix): tensor for name, tensor in told.items()}
    for name in told:
        if any(part in name for part in NEWER):
            raise CheckpointError(
                f"{folder} holds {name}, so it is V-JEPA 2.1, which is read from .pt "
                "files alone: take vjepa2_1_vitb_dist_vitG_384.pt or another"
            )
    tensors = _fused(_renamed(told, _hf_name, UNUSED_HF, folder), folder)
    heads = _whole(config, "num_attention_heads", place)
    if reading.heads not in (None, heads):
        raise CheckpointError(
            f"{place}: num_attention_heads is {heads}, got heads={reading.heads}: "
            "leave that out"
        )
    spec = _spec(tensors, heads, folder)
    _require_told(spec, config, place)
    crop = reading.crop or _whole(config, "crop_size", place)
    return Found(spec, published_preparation(crop, reading.resize), tensors, "")


def _which(file: Mapping[str, Any], reading: Reading, path: Path) -> str:
    """The key of the encoder to take, see `Reading.weights`."""
    there = [key for key in ENCODERS if key in file]
    predictor = file.get("predictor")
    acts = isinstance(predictor, Mapping) and any(
        "action_encoder." in str(name) for name in predictor
    )
    usual = ENCODERS[0 if acts else 1]
    if ENCODERS[2] in file:  # of V-JEPA 2.1's smaller models, as its hub code takes it
        usual = ENCODERS[2]
    wanted = reading.weights or usual
    if wanted in there:
        return wanted
    if there:
        raise CheckpointError(
            f"{path} must hold {wanted}, got {', '.join(map(str, file))}: give "
            f"weights={there[0]}"
        )
    raise CheckpointError(
        f"{path} must hold {' or '.join(ENCODERS)}, got {_listed(list(map(str, file)))}"
        ": take a file that was published for V-JEPA 2"
    )


def _tensors(value: object, name: str) -> dict[str, Tensor]:
    is_tensors = isinstance(value, Mapping) and all(
        isinstance(tensor, Tensor) for tensor in value.values()
    )
    if not isinstance(value, Mapping) or not is_tensors:
        raise CheckpointError(
            f"{name} must be tensors by name, got {short(value)}: take a file that was "
            "published for V-JEPA 2"
        )
    return dict(value)


def _renamed(
    tensors: Mapping[str, Tensor],
    rename: Callable[[str], str],
    unused: tuple[str, ...],
    path: Path,
) -> dict[str, Tensor]:
    """Tensors by our names, those left out that are known to be unused."""
    named: dict[str, Tensor] = {}
    for given, tensor in tensors.items():
        name = rename(given)
        if name.startswith(unused):
            continue
        if name in named:
            raise CheckpointError(
                f"{path} must hold each tensor once, got {name} twice, as {given}: "
                "take a file that was published for V-JEPA 2"
            )
        named[name] = tensor
    return named


def _pt_name(name: str) -> str:
    name = _unwrapped(name)
    return "norm." + name.removeprefix(LAST_NORM) if LAST_NORM in name else name


def _unwrapped(name: str) -> str:
    for prefix in WRAPPED:
        name = name.removeprefix(prefix)
    return name


def _hf_name(name: str) -> str:
    """Our name of a tensor; query, key and value are still apart."""
    layer = _HF_LAYER.fullmatch(name)
    if layer:
        return f"blocks.{layer[1]}.{layer[2].replace('attention.', 'attn.', 1)}"
    name = name.replace("encoder.embeddings.patch_embeddings.", "patch_embed.", 1)
    return name.replace("encoder.layernorm.", "norm.", 1)


def _fused(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Query, key and value of each block side by side, as the .pt files have them."""
    fused: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        parts = re.fullmatch(rf"(.+\.attn\.)({'|'.join(_FUSED)})(\.\w+)", name)
        if parts is None:
            fused[name] = tensor
            continue
        names = [f"{parts[1]}{part}{parts[3]}" for part in _FUSED]
        missing = [some for some in names if some not in tensors]
        if missing:
            raise CheckpointError(
                f"{path} lacks {', '.join(missing)}: it is not the whole model"
            )
        if parts[2] == _FUSED[0]:
            some = [tensors[part] for part in names]
            if len({tuple(part.shape) for part in some}) > 1:
                raise CheckpointError(f"{path}: {', '.join(names)} must be alike")
            fused[f"{parts[1]}qkv{parts[3]}"] = torch.cat(some)
    return fused


def _spec(
    tensors: Mapping[str, Tensor], heads: int | None, path: Path, newer: bool = False
) -> VJEPA2Spec:
    """The architecture that tensors tell, but for the heads."""
    stem, mlp = (
        tensors.get(name)
        for name in ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight")
    )
    if stem is None or stem.dim() != 5 or mlp is None or mlp.dim() != 2:
        raise CheckpointError(
            f"{path} must hold V-JEPA 2's patch_embed.proj (D, 3, tubelet, patch, "
            f"patch) and blocks.0.mlp.fc1, got {_listed(sorted(tensors))}: take a file "
            "that was published for V-JEPA 2"
        )
    dim = stem.shape[0]
    heads = heads or HEADS.get(dim)
    if heads is None:
        known = ", ".join(map(str, HEADS))
        raise CheckpointError(
            f"{path} has tokens of width {dim}, and the heads are known for {known} "
            "only: give heads="
        )
    blocks = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    try:
        return VJEPA2Spec(
            patch=stem.shape[-1],
            tubelet=stem.shape[2],
            dim=dim,
            depth=len(blocks),
            heads=heads,
            hidden=mlp.shape[0],
            newer=newer,
        )
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _require_told(spec: VJEPA2Spec, config: Mapping[str, Any], place: Path) -> None:
    """Refuses tensors that are not what config.json describes."""
    ratio = config.get("mlp_ratio", 4.0)
    hidden = int(_whole(config, "hidden_size", place) * float(ratio))
    for key, found, wanted in (
        ("hidden_size", spec.dim, config["hidden_size"]),
        ("num_hidden_layers", spec.depth, config.get("num_hidden_layers")),
        ("patch_size", spec.patch, config.get("patch_size")),
        ("tubelet_size", spec.tubelet, config.get("tubelet_size")),
        ("hidden_size x mlp_ratio", spec.hidden, hidden),
    ):
        if found != wanted:
            raise CheckpointError(
                f"{place}: {key} must be {found}, as the tensors are, got {wanted}: "
                "take both from one download"
            )


def _whole(config: Mapping[str, Any], key: str, place: Path) -> int:
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise CheckpointError(
            f"{place}: {key} must be a whole number of at least 1, got {short(value)}"
        )
    return value


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more

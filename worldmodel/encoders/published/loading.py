"""Reads a published encoder by its path or name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.checkpoints.outline import check_fits
from worldmodel.encoders.frozen import FrozenEncoder
from worldmodel.encoders.published.encoder import PublishedEncoder
from worldmodel.encoders.published.names import PREFIX, encoder_files
from worldmodel.encoders.published.picture_preparation import told_preparation
from worldmodel.encoders.published.pictures import FAMILIES, read_pictures
from worldmodel.encoders.published.spec import PublishedSpec, Reading
from worldmodel.encoders.published.vjepa2 import VJEPA2
from worldmodel.encoders.published.vjepa2_files import Found, from_folder, from_pt
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.json_file import read_object, short
from worldmodel.memory import NotEnoughMemoryError, require_memory

CONFIG = "config.json"
VJEPA2_TYPE, NEWER_FAMILY = "vjepa2", "vjepa2_1"
SUFFIXES = (".pt", ".pth")


class _Read(NamedTuple):
    """A network, what it takes, and the hash of its weights as the files have them."""

    network: nn.Module
    spec: PublishedSpec
    weights: str


def load_encoder(place: str | Path, reading: Reading | None = None) -> FrozenEncoder:
    """Reads an encoder that others published, frozen, on the CPU.

    It takes frames of `spec.height` x `spec.width`, the square that the encoder sees;
    `FrozenEncoder.sized` gives one for frames of any other size.

    Args:
        place: a .pt file of V-JEPA 2, a folder as on the Hugging Face hub, or the name
            of one there (`names.NAMES`, or hub:owner/name).
        reading: what is read and how; None for as published.

    Raises:
        CheckpointError: it is not there, damaged, not known, or a tensor is missing,
            has no place, or holds no number.
    """
    how = reading or Reading()
    path = encoder_files(place)
    try:
        read = _vjepa2_pt(path, how) if path.is_file() else _folder(path, how)
    except (CheckpointError, NotEnoughMemoryError):
        raise
    except (WorldModelError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    where = str(path.resolve()) if Path(place).expanduser().exists() else str(place)
    identity = _identity(read.spec, read.weights)
    encoder = PublishedEncoder(read.spec, read.network, identity, where)
    return FrozenEncoder(encoder)


def is_published(place: str | Path) -> bool:
    """Whether that names an encoder of others, not a folder that `pretrain` wrote."""
    text, path = str(place), Path(place).expanduser()
    if not path.exists():
        return text.startswith(PREFIX) or "/" not in text or path.suffix in SUFFIXES
    if not path.is_dir():
        return True
    if not (path / CONFIG).is_file():
        return bool(list(path.glob("*.pt")))
    try:
        return "model_type" in read_object(path / CONFIG)
    except WorldModelError:
        return False  # whoever reads it says what is wrong


def _folder(folder: Path, reading: Reading) -> _Read:
    if not (folder / CONFIG).is_file():
        files = sorted(file.name for file in folder.glob("*.pt"))
        hint = f"give the file {folder / files[0]}" if files else "download it, too"
        raise CheckpointError(f"{folder} lacks {CONFIG}: {hint}")
    config = read_object(folder / CONFIG)
    kind = config.get("model_type")
    if kind == VJEPA2_TYPE:
        return _vjepa2(from_folder(folder, config, reading), reading, folder)
    if kind in FAMILIES:
        return _pictures(folder, config, reading)
    raise CheckpointError(
        f"{folder / CONFIG}: model_type must be one of "
        f"{', '.join((VJEPA2_TYPE, *FAMILIES))}, got {short(kind)}"
    )


def _vjepa2_pt(path: Path, reading: Reading) -> _Read:
    if path.suffix not in SUFFIXES:
        raise CheckpointError(
            f"{path} must be a .pt file of V-JEPA 2 or a folder with {CONFIG} and "
            f"model.safetensors, got a {path.suffix or 'nameless'} file"
        )
    return _vjepa2(from_pt(path, reading), reading, path)


def _vjepa2(found: Found, reading: Reading, path: Path) -> _Read:
    with torch.device("meta"):
        network = VJEPA2(found.spec)
    tensors, dtype = found.tensors, getattr(torch, reading.precision)
    _require_numbers(tensors, path)
    alike = {name: _meta(tensor) for name, tensor in tensors.items()}
    try:
        check_fits(network, "V-JEPA 2", alike)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path}: {error}; take a file that was published for V-JEPA 2"
        ) from error
    _require_room(sum(t.numel() for t in tensors.values()), reading, path)
    ready = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    network.load_state_dict(ready, strict=True, assign=True)
    side = found.preparation.crop
    spec = PublishedSpec(
        family=NEWER_FAMILY if found.spec.newer else VJEPA2_TYPE,
        preparation=found.preparation,
        patch=found.spec.patch,
        tubelet=found.spec.tubelet,
        dim=found.spec.dim,
        height=side,
        width=side,
        precision=reading.precision,
        weights=found.weights,
        heads=found.spec.heads,
    )
    return _Read(network, spec, weights_hash(tensors))


def _pictures(folder: Path, config: Mapping[str, Any], reading: Reading) -> _Read:
    for name in ("weights", "heads"):
        if getattr(reading, name) is not None:
            raise CheckpointError(
                f"{name} is for .pt files of V-JEPA 2, {folder} is a folder: leave it "
                "out"
            )
    vision = config.get("vision_config", config)  # of a model that also reads text
    preparation = told_preparation(folder, reading)
    side = preparation.crop
    spec = PublishedSpec(
        family=config["model_type"],
        preparation=preparation,
        patch=vision.get("patch_size", 16),
        tubelet=1,
        dim=vision.get("hidden_size", 768),
        height=side,
        width=side,
        precision=reading.precision,
    )
    files = folder.glob("*.safetensors")  # of float32, as they are read
    _require_room(sum(file.stat().st_size for file in files) // 4, reading, folder)
    network = read_pictures(folder, config, side)
    tensors = network.state_dict()
    _require_numbers(tensors, folder)
    weights = weights_hash(tensors)
    return _Read(network.to(getattr(torch, reading.precision)), spec, weights)


def _require_room(count: int, reading: Reading, path: Path) -> None:
    """Raises NotEnoughMemoryError where so many numbers are more than there is."""
    mend = "take a smaller encoder, or a machine with more"
    if reading.precision == "float32":
        mend = f"published.precision=bfloat16 takes half; or {mend}"
    size = getattr(torch, reading.precision).itemsize
    what = f"the encoder of {path} in {reading.precision}"
    require_memory(what, count * size, "cpu", mend)


def _meta(tensor: Tensor) -> Tensor:
    """A tensor of that shape, as `VJEPA2` is made; the files may have other types."""
    return torch.empty(tensor.shape, device="meta")


def _require_numbers(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise CheckpointError(
                f"{path}: {name} must be floating point, got {tensor.dtype}"
            )
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{path}: {name} holds NaN or infinity: download it again"
            )


def _identity(spec: PublishedSpec, weights: str) -> str:
    """SHA-256 of the weights in the files and of what decides tokens beside them."""
    names = ("family", "patch", "tubelet", "dim", "heads")
    told = {name: getattr(spec, name) for name in names}
    told["preparation"] = asdict(spec.preparation)
    return hashlib.sha256(f"{json.dumps(told)} {weights}".encode()).hexdigest()

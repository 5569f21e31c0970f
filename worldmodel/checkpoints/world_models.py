"""Checkpoints of whole world models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from worldmodel.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from worldmodel.encoders import FrozenEncoder
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.model_spec import WorldModelSpec

Model = TypeVar("Model", bound=nn.Module)


def save_world_model(
    model: nn.Module,
    spec: WorldModelSpec,
    history: Mapping[str, Any],
    path: str | Path,
    card: str,
) -> None:
    """Writes a checkpoint folder: config, safetensors and model card."""
    config = {
        "kind": "world_model",
        "spec": spec.to_json(),
        "encoder_hash": _encoder(model).weights_hash,
        "history": dict(history),
    }
    save_checkpoint(path, config, model.state_dict(), card)


def load_world_model(
    path: str | Path, make: Callable[[WorldModelSpec, dict[str, Any]], Model]
) -> Model:
    """Reads a checkpoint folder.

    Args:
        path: the folder.
        make: makes an untrained model of a spec, with its history.

    Raises:
        CheckpointError: the folder is missing or damaged, a tensor is missing, extra or
            misshapen, or the encoder is not the one that the rest was trained on.
    """
    checkpoint = load_checkpoint(path)
    kind = checkpoint.config.get("kind")
    if kind != "world_model":
        raise CheckpointError(f"{path} holds a {kind!r}, not a 'world_model'")
    try:
        spec = WorldModelSpec.from_json(checkpoint.value("spec", dict))
    except WorldModelError as error:
        raise checkpoint.not_understood(error) from error
    history = checkpoint.value("history", dict)
    wanted = checkpoint.value("encoder_hash", str)
    model = checkpoint.build(lambda: make(spec, history))
    found = _encoder(model).weights_hash
    if found != wanted:
        raise CheckpointError(
            f"{path}: the predictor was trained on the encoder {wanted[:12]}, but the "
            f"folder holds {found[:12]}; use the encoder of that hash or train again"
        )
    return model


def _encoder(model: nn.Module) -> FrozenEncoder:
    encoder = model.get_submodule("encoder")
    assert isinstance(encoder, FrozenEncoder)
    return encoder

"""Checkpoints of encoders, which pretraining leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worldmodel.checkpoints.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    weights_hash,
)
from worldmodel.encoders import FrozenEncoder, VideoViT, VideoViTSpec
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.plain import of_plain


def save_encoder(
    path: str | Path, encoder: VideoViT, history: Mapping[str, Any], card: str
) -> None:
    """Writes a pretrained encoder as a checkpoint folder."""
    config = {
        "kind": "encoder",
        "spec": asdict(encoder.spec),
        "encoder_hash": weights_hash(encoder),
        "history": dict(history),
    }
    save_checkpoint(path, config, encoder.state_dict(), card)


def load_encoder(path: str | Path) -> tuple[FrozenEncoder, dict[str, Any]]:
    """Reads an encoder folder: the frozen encoder and its history.

    Raises:
        CheckpointError: missing, damaged, or no encoder.
    """
    checkpoint = load_checkpoint(path)
    found = checkpoint.config.get("kind")
    if found != "encoder":
        raise CheckpointError(f"{path} holds a {found!r}, not an 'encoder'")
    try:
        spec = of_plain(VideoViTSpec, checkpoint.value("spec", dict), "spec")
    except WorldModelError as error:
        raise checkpoint.not_understood(error) from error
    history = checkpoint.value("history", dict)
    encoder = checkpoint.build(lambda: VideoViT(spec))
    return FrozenEncoder(encoder), history

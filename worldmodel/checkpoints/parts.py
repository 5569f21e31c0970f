"""Checkpoints of what pretraining leaves: an encoder, a projector to start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worldmodel.checkpoints.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
    weights_hash,
)
from worldmodel.encoders import FrozenEncoder, VideoViT, VideoViTSpec
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.plain import of_plain
from worldmodel.projectors.projector import Projector, ProjectorSpec


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
    checkpoint = _load(path, "encoder")
    try:
        spec = of_plain(VideoViTSpec, checkpoint.value("spec", dict), "spec")
    except WorldModelError as error:
        raise checkpoint.not_understood(error) from error
    history = checkpoint.value("history", dict)
    encoder = checkpoint.build(lambda: VideoViT(spec))
    return FrozenEncoder(encoder), history


def save_projector(
    path: str | Path, projector: Projector, encoder: VideoViT, card: str
) -> None:
    """Writes the projector that an encoder was pretrained with."""
    config = {
        "kind": "projector",
        "spec": asdict(projector.spec),
        "encoder_hash": weights_hash(encoder),
    }
    save_checkpoint(path, config, projector.state_dict(), card)


def load_projector(path: str | Path, encoder: FrozenEncoder) -> Projector:
    """Reads a projector folder.

    Raises:
        CheckpointError: missing, damaged, no projector, or that of another encoder.
    """
    checkpoint = _load(path, "projector")
    try:
        spec = of_plain(ProjectorSpec, checkpoint.value("spec", dict), "spec")
    except WorldModelError as error:
        raise checkpoint.not_understood(error) from error
    trained_on = checkpoint.value("encoder_hash", str)
    if trained_on != encoder.weights_hash:
        raise CheckpointError(
            f"{path} was trained with encoder {trained_on[:12]}, this one is "
            f"{encoder.weights_hash[:12]}; take both from one pretraining"
        )
    return checkpoint.build(lambda: Projector(spec))


def _load(path: str | Path, kind: str) -> Checkpoint:
    checkpoint = load_checkpoint(path)
    found = checkpoint.config.get("kind")
    if found != kind:
        article = "an" if kind[0] in "aeiou" else "a"
        raise CheckpointError(f"{path} holds a {found!r}, not {article} {kind!r}")
    return checkpoint

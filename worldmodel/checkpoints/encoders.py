"""Checkpoints of encoders, which pretraining leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from worldmodel.checkpoints.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    weights_hash,
)
from worldmodel.encoders import FrozenEncoder, VideoViT, VideoViTSpec
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.plain import of_plain
from worldmodel.projectors.projector import Projector, ProjectorSpec


class Pretrained(nn.Module):
    """An encoder with the projector that learned beside it."""

    def __init__(self, encoder: VideoViT, projector: Projector) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector


def save_encoder(
    path: str | Path,
    encoder: VideoViT,
    history: Mapping[str, Any],
    card: str,
    projector: Projector | None = None,
) -> None:
    """Writes a pretrained encoder as a checkpoint folder.

    Args:
        path: The folder.
        encoder: The encoder.
        history: How it was made, as plain JSON.
        card: The model card, in Markdown.
        projector: What it was trained to be read by, None for nothing.
    """
    config: dict[str, Any] = {
        "kind": "encoder",
        "spec": asdict(encoder.spec),
        "encoder_hash": weights_hash(encoder),
        "history": dict(history),
    }
    saved: nn.Module = encoder
    if projector is not None:
        config["projector"] = asdict(projector.spec)
        saved = Pretrained(encoder, projector)
    save_checkpoint(path, config, saved.state_dict(), card)


def load_encoder(path: str | Path) -> tuple[FrozenEncoder, dict[str, Any]]:
    """Reads an encoder folder: the frozen encoder and its history.

    Raises:
        CheckpointError: missing, damaged, or no encoder.
    """
    found, history = _read(path)
    encoder = found.encoder if isinstance(found, Pretrained) else found
    return FrozenEncoder(encoder), history


def load_projector(path: str | Path) -> Projector | None:
    """Reads the projector of an encoder folder; None where it has none.

    Raises:
        CheckpointError: missing, damaged, or no encoder.
    """
    found, _ = _read(path)
    return found.projector if isinstance(found, Pretrained) else None


def _read(path: str | Path) -> tuple[VideoViT | Pretrained, dict[str, Any]]:
    checkpoint = load_checkpoint(path)
    kind = checkpoint.config.get("kind")
    if kind != "encoder":
        raise CheckpointError(f"{path} holds a {kind!r}, not an 'encoder'")
    projector = None
    try:
        spec = of_plain(VideoViTSpec, checkpoint.value("spec", dict), "spec")
        if "projector" in checkpoint.config:
            told = checkpoint.value("projector", dict)
            projector = of_plain(ProjectorSpec, told, "projector")
            projector.require(spec.patches, spec.dim, spec.blob_dim)
    except (WorldModelError, ValueError) as error:
        raise checkpoint.not_understood(error) from error
    history = checkpoint.value("history", dict)
    if projector is None:
        return checkpoint.build(lambda: VideoViT(spec)), history
    wanted = projector

    def make() -> Pretrained:
        return Pretrained(VideoViT(spec), Projector(wanted))

    return checkpoint.build(make), history

"""Checkpoints of whole world models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from torch import Tensor, nn

from worldmodel.checkpoints.checkpoint import (
    CONFIG_FILE,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from worldmodel.encoders import (
    EncoderSpec,
    FrozenEncoder,
    PublishedSpec,
    load_encoder,
)
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.json_file import read_object

ENCODER = "encoder."  # begins the names of its tensors
Model = TypeVar("Model", bound=nn.Module)


class ModelSpec(Protocol):
    """What a world model of some kind is made of.

    Attributes:
        kind: what `config.json` calls such models.
    """

    kind: ClassVar[str]

    @property
    def encoder(self) -> EncoderSpec:
        """The frozen encoder."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON values."""
        ...

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The spec from what `to_json` gave."""
        ...


Spec = TypeVar("Spec", bound=ModelSpec)


def kind_of(path: str | Path) -> str | None:
    """Gives what a folder's `config.json` calls it; None where nothing is to be read.

    Whoever loads it says what is wrong then.
    """
    try:
        return read_object(Path(path) / CONFIG_FILE).get("kind")
    except (WorldModelError, OSError):
        return None


def save_world_model(
    model: nn.Module,
    spec: ModelSpec,
    history: Mapping[str, Any],
    path: str | Path,
    card: str,
) -> None:
    """Writes a checkpoint folder: config, safetensors and model card.

    A published encoder is named by its place and hash, not copied.
    """
    encoder = _encoder(model)
    config = {
        "kind": spec.kind,
        "spec": spec.to_json(),
        "encoder_hash": encoder.weights_hash,
        "history": dict(history),
    }
    if encoder.published_at is not None:
        config["encoder_at"] = encoder.published_at
    save_checkpoint(path, config, own_tensors(model), card)


def own_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a world model, without those of a published encoder."""
    tensors = model.state_dict()
    if _encoder(model).published_at is None:
        return tensors
    return {name: t for name, t in tensors.items() if not name.startswith(ENCODER)}


def load_world_model(
    path: str | Path,
    described: type[Spec],
    make: Callable[[Spec, dict[str, Any]], Model],
    encoder: str | Path | None = None,
) -> Model:
    """Reads a checkpoint folder; the model is frozen, and in eval mode.

    Args:
        path: the folder.
        described: what such a model's spec is.
        make: makes an untrained model of a spec, with its history.
        encoder: where a published encoder lies now; None for where it lay in training.

    Raises:
        CheckpointError: the folder is missing or damaged, a tensor is missing, extra or
            misshapen, or the encoder is not the one that the rest was trained on.
    """
    checkpoint = load_checkpoint(path)
    kind = checkpoint.config.get("kind")
    if kind != described.kind:
        raise CheckpointError(f"{path} holds a {kind!r}, not a {described.kind!r}")
    try:
        spec = described.from_json(checkpoint.value("spec", dict))
    except WorldModelError as error:
        raise checkpoint.not_understood(error) from error
    history = checkpoint.value("history", dict)
    wanted = checkpoint.value("encoder_hash", str)
    model = checkpoint.build(lambda: make(spec, history))
    if isinstance(spec.encoder, PublishedSpec):
        model.encoder = _attached(checkpoint, spec.encoder, encoder, wanted)
    elif encoder is not None:
        raise CheckpointError(
            f"{path} holds its encoder, one of ours, got encoder={encoder}: leave that "
            "out, or train on that encoder"
        )
    elif (found := _encoder(model).weights_hash) != wanted:
        raise CheckpointError(
            f"{path}: the predictor was trained on the encoder {wanted[:12]}, but the "
            f"folder holds {found[:12]}; use the encoder of that hash or train again"
        )
    return model.requires_grad_(False).eval()


def _attached(
    checkpoint: Checkpoint,
    spec: PublishedSpec,
    place: str | Path | None,
    wanted: str,
) -> FrozenEncoder:
    """The published encoder that a world model was trained on."""
    at = checkpoint.value("encoder_at", str) if place is None else place
    mend = "give encoder=PATH of the files that it was trained on"
    try:
        reading = spec.reading()
        if not Path(at).expanduser().is_file():  # a folder holds one; its hash tells
            reading = replace(reading, weights=None)
        found = load_encoder(at, reading).sized(spec.height, spec.width)
    except CheckpointError as error:
        raise CheckpointError(
            f"{checkpoint.path} needs its encoder, {spec.family} of hash "
            f"{wanted[:12]}, from {at}: {error}; or {mend}"
        ) from error
    if found.weights_hash != wanted:
        raise CheckpointError(
            f"{checkpoint.path} was trained on the encoder {wanted[:12]}, {at} holds "
            f"{found.weights_hash[:12]}: {mend}, or train again"
        )
    return found


def _encoder(model: nn.Module) -> FrozenEncoder:
    encoder = model.get_submodule("encoder")
    assert isinstance(encoder, FrozenEncoder)
    return encoder

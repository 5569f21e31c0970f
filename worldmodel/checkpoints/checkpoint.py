"""A checkpoint: a folder that describes itself, loaded strictly, without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from worldmodel.checkpoints.outline import (
    TooLargeError,
    check_fits,
    not_finite,
    outlined,
)
from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.atomic import new_folder, surviving_folder
from worldmodel.files.json_file import read_object, short
from worldmodel.version import __version__

FORMAT_VERSION = 2
CONFIG_FILE = "config.json"
TENSORS_FILE = "model.safetensors"
CARD_FILE = "README.md"
ENVELOPE = ("format_version", "package_version", "weights_hash")  # kept by this module

Kind = TypeVar("Kind")
Module = TypeVar("Module", bound=nn.Module)
_KINDS: dict[type, str] = {dict: "an object", str: "a text"}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds.

    Attributes:
        config: What was given to `save_checkpoint`.
        tensors: Tensors by name, on the CPU.
        weights_hash: SHA-256 of the tensors, see `weights_hash`.
        package_version: Version of the package that wrote it.
        path: The folder.
        promised_hash: What `config.json` says that `weights_hash` is.
    """

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    weights_hash: str
    package_version: str
    path: Path
    promised_hash: str

    def value(self, key: str, kind: type[Kind]) -> Kind:
        """Gives a value of the config.

        Raises:
            CheckpointError: It is missing, or of another type.
        """
        found = self.config.get(key)
        if not isinstance(found, kind):
            raise CheckpointError(
                f"{self.path / CONFIG_FILE}: {key} must be {_KINDS[kind]}, got "
                f"{short(found) if key in self.config else 'nothing'}"
            )
        return found

    def not_understood(self, error: Exception) -> CheckpointError:
        """Gives the error of a config that describes nothing that can be built."""
        return CheckpointError(
            f"{self.path / CONFIG_FILE} is not understood: {error}; take a checkpoint "
            "of this version, or train again"
        )

    def build(self, make: Callable[[], Module]) -> Module:
        """Gives the module that the config describes, with these tensors.

        It is sketched first, without memory (`outline`): what the file does not fit is
        refused before anything is allocated.

        Raises:
            CheckpointError: as `load_into` does.
        """
        try:
            outline = outlined(make, len(self.tensors))
            check_fits(outline, type(outline).__name__, self.tensors)
        except TooLargeError as error:
            raise CheckpointError(
                f"{self.path / TENSORS_FILE} holds {len(self.tensors)} tensors, but "
                f"{CONFIG_FILE} describes {error}; take both files from one checkpoint"
            ) from error
        except CheckpointError as error:
            raise CheckpointError(f"{self.path / TENSORS_FILE}: {error}") from error
        module = make()
        self.load_into(module)
        return module

    def load_into(self, module: nn.Module) -> None:
        """Copies the tensors into a module that has exactly these.

        Raises:
            CheckpointError: Names every missing, extra and misshapen tensor; or the
                tensors are not those that config.json was written with.
        """
        try:
            load_strict(module, self.tensors)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path / TENSORS_FILE}: {error}") from error
        if self.weights_hash != self.promised_hash:
            raise CheckpointError(
                f"{self.path / TENSORS_FILE} is not what {CONFIG_FILE} describes: "
                f"expected weights {self.promised_hash[:12]}, got "
                f"{self.weights_hash[:12]}; take both files from one checkpoint"
            )
        wrong = not_finite(module)
        if wrong:
            raise CheckpointError(
                f"{self.path / TENSORS_FILE} holds {wrong[0]} among the values of "
                f"{', '.join(wrong[1:])}: training diverged, or the file was changed; "
                "take another checkpoint"
            )


def save_checkpoint(
    path: str | Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    card: str,
) -> None:
    """Writes a checkpoint folder that appears whole or not at all.

    Args:
        path: The folder; a checkpoint that stands there is replaced.
        config: JSON values: architecture, specs, hashes, seeds, whatever loading needs.
        tensors: Tensors by name, e.g. a `state_dict()`.
        card: The model card, in Markdown.

    Raises:
        CheckpointError: The config is not JSON, or the path holds something else.
    """
    path = Path(path)
    reserved = sorted(set(config) & set(ENVELOPE))
    if reserved:
        raise CheckpointError(f"config must not contain {reserved}: they are written")
    if path.exists() and not _is_replaceable(path):
        raise CheckpointError(f"{path} exists and is no checkpoint, it stays as it is")
    envelope = {
        "format_version": FORMAT_VERSION,
        "package_version": __version__,
        "weights_hash": weights_hash(tensors),
    }
    text = _json_text({**envelope, **config})
    with new_folder(path) as folder:
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
        # Not `save_file`: its files have mode 0600, whatever the umask.
        (folder / TENSORS_FILE).write_bytes(save(_separate(tensors)))
        (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint folder; `Checkpoint.load_into` checks the tensors.

    Raises:
        CheckpointError: It is missing, half-written, or of another format.
    """
    return read_checkpoint(path, FORMAT_VERSION)


def read_checkpoint(path: str | Path, format_version: int) -> Checkpoint:
    """As `load_checkpoint`, of the format that is asked for."""
    if not isinstance(path, str | Path) or not str(path):
        raise CheckpointError(
            f"a checkpoint is the path of a folder, got {path!r}; name one, or take "
            "find_weights('reference')"
        )
    path = surviving_folder(Path(path))
    if not path.is_dir():
        raise CheckpointError(f"no checkpoint folder at {path}")
    for name in (CONFIG_FILE, TENSORS_FILE):
        if not (path / name).is_file():
            raise CheckpointError(f"{path} is no whole checkpoint: {name} is missing")
    config = _read_config(path / CONFIG_FILE, format_version)
    text_of = {key: _text(config[key], key, path / CONFIG_FILE) for key in ENVELOPE[1:]}
    tensors = load_tensors(path / TENSORS_FILE)
    return Checkpoint(
        config={key: v for key, v in config.items() if key not in ENVELOPE},
        tensors=tensors,
        weights_hash=weights_hash(tensors),
        package_version=text_of["package_version"],
        path=path,
        promised_hash=text_of["weights_hash"],
    )


def load_strict(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copies tensors into a module that has exactly these.

    Raises:
        CheckpointError: Names every missing, extra and misshapen tensor; the module
            is then unchanged.
    """
    check_fits(module, type(module).__name__, tensors)
    module.load_state_dict(dict(tensors), strict=True)


def weights_hash(weights: nn.Module | Mapping[str, Tensor]) -> str:
    """Gives the SHA-256 (hex) of names, types, shapes and bytes, in order of names.

    The same weights give the same hash on every device and after a round trip.
    """
    tensors = weights.state_dict() if isinstance(weights, nn.Module) else weights
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file.

    Raises:
        CheckpointError: The file is cut off or damaged.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or half-written: {error}") from error


def _read_config(path: Path, format_version: int) -> dict[str, Any]:
    try:
        config = read_object(path)
    except WorldModelError as error:
        why = str(error).removeprefix(f"{path} ")
        raise CheckpointError(f"{path} is damaged or half-written: it {why}") from error
    missing = [key for key in ENVELOPE if key not in config]
    if missing:
        raise CheckpointError(f"{path} is no checkpoint config, it lacks {missing}")
    found = config["format_version"]
    if found != format_version:
        older = found == 1 and format_version == FORMAT_VERSION
        convert = f"worldmodel convert model={path.parent} out=NEW_FOLDER"
        raise CheckpointError(
            f"{path} has format version {found}, written by package "
            f"version {config['package_version']}; this package reads {format_version}"
            + (f"; convert it: {convert}" if older else "")
        )
    return config


def _text(value: object, name: str, path: Path) -> str:
    if not isinstance(value, str):
        raise CheckpointError(f"{path}: {name} must be a text, got {short(value)}")
    return value


def _json_text(values: Mapping[str, Any]) -> str:
    try:
        return json.dumps(values, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"config must be JSON values: {error}") from error


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gives contiguous CPU tensors that share no memory, as the format demands."""
    return {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }


def _is_replaceable(path: Path) -> bool:
    return path.is_dir() and ((path / CONFIG_FILE).is_file() or not any(path.iterdir()))

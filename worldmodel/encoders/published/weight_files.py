"""Tensors from files of weights, mapped from disk, without running what is in them."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from worldmodel.errors import CheckpointError, WorldModelError
from worldmodel.files.json_file import read_object
from worldmodel.files.text import one_line

SAFETENSORS = "model.safetensors"
INDEX = "model.safetensors.index.json"
AGAIN = "download it again, and compare its size with the published one"


def read_safetensors(folder: Path) -> dict[str, Tensor]:
    """Gives all tensors of a Hugging Face folder, of one file or of several.

    Raises:
        CheckpointError: a file is missing or damaged, or the index does not say what
            the files hold.
    """
    if (folder / SAFETENSORS).is_file():
        return _read_one(folder / SAFETENSORS)
    if not (folder / INDEX).is_file():
        pickles = sorted(file.name for file in folder.glob("*.bin"))
        found = f"{', '.join(pickles)}, which may run code" if pickles else "neither"
        raise CheckpointError(
            f"{folder} must hold {SAFETENSORS}, or {INDEX} and the files that it "
            f"names, got {found}: download them too"
        )
    told = _index(folder / INDEX)
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(told.values())):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder} lacks {name}, which {INDEX} names: download it, too"
            )
        tensors |= _read_one(folder / name)
    if set(tensors) != set(told):
        wrong = sorted(set(tensors) ^ set(told))
        raise CheckpointError(
            f"{folder / INDEX} and its files do not tell the same tensors, such as "
            f"{wrong[0]}: take all of them from one download"
        )
    return tensors


def _index(path: Path) -> dict[str, str]:
    try:
        told = read_object(path).get("weight_map")
    except WorldModelError as error:
        raise CheckpointError(f"{error}: {AGAIN}") from error
    is_map = isinstance(told, dict) and all(
        isinstance(name, str) and Path(name).name == name for name in told.values()
    )
    if not told or not is_map:
        raise CheckpointError(
            f"{path} must have a weight_map of tensors to names of files beside it: "
            f"{AGAIN}"
        )
    return told


def _read_one(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is damaged or cut off ({one_line(error)}): {AGAIN}"
        ) from error

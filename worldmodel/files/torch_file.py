"""Files that others wrote with `torch.save`: read without running what is in them."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worldmodel.errors import CheckpointError
from worldmodel.files.json_file import short
from worldmodel.files.text import one_line

# What torch raises where bytes of the list of tensors are not what was written.
_DAMAGE = (
    RuntimeError,
    ValueError,
    LookupError,
    EOFError,
    AttributeError,
    TypeError,
    AssertionError,
)
PREFIXES = ("module.", "backbone.")  # of wrappers, which say nothing


def read_torch_file(path: str | Path) -> dict[str, Any]:
    """Reads a `.pt` file; its tensors stay on disk until they are used.

    Raises:
        CheckpointError: There is no such file, it is cut off, no file of `torch.save`,
            holds anything but tensors and plain values, or no parts by name.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path} is no file; give the path of a .pt file that was downloaded"
        )
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{path} is no whole file of torch.save (a zip archive), it has "
            f"{path.stat().st_size} bytes: it was cut off, or is something else; "
            "download it again"
        )
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        asked = _asked(error)
        if asked is None:
            raise CheckpointError(
                f"{path} is damaged, its list of tensors can not be read; download it "
                "again"
            ) from error
        raise CheckpointError(
            f"{path} holds more than tensors and plain values: it asks for code to be "
            f"run ({asked}), which is never done; take the official file, or save its "
            "state dict alone"
        ) from error
    except _DAMAGE as error:
        raise CheckpointError(
            f"{path} is damaged or no file of weights: {one_line(error)}; download it "
            "again"
        ) from error
    if not isinstance(found, dict):
        raise CheckpointError(
            f"{path} must hold parts by name (a dict), got {type(found).__name__}"
        )
    return found


def part_of(path: str | Path, name: str) -> dict[str, Tensor]:
    """Gives a part's tensors by name, without the prefixes of wrappers.

    Raises:
        CheckpointError: As `read_torch_file`; the part is not there, holds anything but
            tensors, or two of one name.
    """
    found = read_torch_file(path)
    if name not in found:
        raise CheckpointError(
            f"{path} has no part {name!r}, it has {short(sorted(map(str, found)))}; "
            "take a file that holds it"
        )
    part = found[name]
    if not isinstance(part, dict):
        raise CheckpointError(
            f"{path}: {name!r} must hold tensors by name, got {type(part).__name__}"
        )
    named: dict[str, Tensor] = {}
    for key, value in part.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path}: {name!r} must hold tensors by name, got "
                f"{type(value).__name__} as {short(key)}"
            )
        for prefix in PREFIXES:
            key = str(key).replace(prefix, "")
        if key in named:
            raise CheckpointError(f"{path}: {name!r} holds {key} twice")
        named[key] = value
    return named


def _asked(error: Exception) -> str | None:
    """What a pickle asks for, e.g. "GLOBAL os.system"; None where it does not say."""
    text = str(error)
    begin = text.find("GLOBAL")
    return " ".join(text[begin:].split()[:2]) if begin >= 0 else None

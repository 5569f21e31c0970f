"""JSON objects from files and texts that anybody may have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worldmodel.errors import WorldModelError

MOST_MB = 256  # of a file [MB]


def read_object(path: Path) -> dict[str, Any]:
    """Gives the object that a JSON file holds.

    Raises:
        WorldModelError: It is no JSON object, holds NaN or infinity, is nested too
            deep, or is larger than any that we write. The message begins with the path.
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    if size > MOST_MB * 10**6:
        raise WorldModelError(
            f"{path} must be at most {MOST_MB} MB, it has {size / 1e6:.0f} MB"
        )
    try:
        return parse_object(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise WorldModelError(f"{path} must be UTF-8 text: {error}") from error
    except WorldModelError as error:
        raise WorldModelError(f"{path} {error}") from error


def parse_object(text: str) -> dict[str, Any]:
    """Gives the object that a JSON text holds; see `read_object`."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise WorldModelError("is nested too deep to be one of ours") from error
    except WorldModelError:
        raise
    except ValueError as error:
        raise WorldModelError(f"is no valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise WorldModelError(f"must hold a JSON object {{…}}, got {short(value)}")
    return value


def short(value: object, most: int = 60) -> str:
    """Gives a value as a message shows it: a long one cut off."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


def _refuse(constant: str) -> float:
    raise WorldModelError(f"holds {constant}, which is no JSON number")

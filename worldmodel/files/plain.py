"""Frozen dataclasses from plain JSON values, each compared with its annotation."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from worldmodel.errors import WorldModelError
from worldmodel.files.json_file import short

Kind = TypeVar("Kind")
MOST = 2**31  # no size, count or seed of ours is larger

_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    type(None): "null",
}


def of_plain(kind: type[Kind], values: object, name: str) -> Kind:
    """Gives a dataclass from a mapping of its fields, dataclasses inside included.

    Args:
        kind: The dataclass; its fields are plain values, dataclasses, or either or
            None. Of several dataclasses the first is taken that has all fields.
        values: What JSON gave for it.
        name: Where that stands, for messages, e.g. "spec.encoder".

    Raises:
        WorldModelError: A field is missing, unknown, or of another type; or the
            dataclass refuses it. The message begins with the name.
    """
    if not isinstance(values, Mapping):
        raise WorldModelError(f"{name} must be an object, got {short(values)}")
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in set(values) - set(known))
    if unknown:
        raise WorldModelError(
            f"{name} has the unknown fields {short(unknown)}; known are: "
            f"{', '.join(known)}"
        )
    missing = [
        key
        for key, field in known.items()
        if key not in values
        and field.default is MISSING
        and field.default_factory is MISSING
    ]
    if missing:
        raise WorldModelError(f"{name} lacks the fields {', '.join(missing)}")
    given = {
        key: _value(hints[key], value, f"{name}.{key}") for key, value in values.items()
    }
    try:
        return kind(**given)
    except WorldModelError:
        raise
    except ValueError as error:
        raise WorldModelError(f"{name}: {error}") from error


def whole(value: object, name: str, low: int, high: int = MOST) -> int:
    """Gives a whole number in [low, high].

    Raises:
        WorldModelError: It is something else.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, int) and is_whole and low <= value <= high:
        return value
    raise WorldModelError(
        f"{name} must be a whole number in [{low}, {high}], got {short(value)}"
    )


def text(value: object, name: str) -> str:
    """Gives a text.

    Raises:
        WorldModelError: It is something else.
    """
    if not isinstance(value, str):
        raise WorldModelError(f"{name} must be a text, got {short(value)}")
    return value


def _value(hint: Any, value: object, name: str) -> object:
    options = (hint,)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = typing.get_args(hint)
    for option in options:
        if hasattr(option, "from_json") and value is not None:
            return _read(option, value, name)
    made = [option for option in options if is_dataclass(option)]
    if made and value is not None:
        kind: Any = next((some for some in made if _names_all(some, value)), made[0])
        return of_plain(kind, value, name)
    plain = [option for option in options if option in _NAMES]
    if len(plain) != len(options) and value is not None:
        return value  # the dataclass checks it
    if not any(_fits(value, option) for option in options):
        wanted = " or ".join(_NAMES[option] for option in plain) or "an object"
        raise WorldModelError(f"{name} must be {wanted}, got {short(value)}")
    return value


def _names_all(kind: Any, value: object) -> bool:
    """Whether a dataclass has all the fields that a mapping has."""
    known = {field.name for field in fields(kind)}
    return isinstance(value, Mapping) and set(value) <= known


def _read(kind: Any, value: object, name: str) -> object:
    """Gives what a dataclass reads for itself."""
    if not isinstance(value, Mapping):
        raise WorldModelError(f"{name} must be an object, got {short(value)}")
    try:
        return kind.from_json(value)
    except WorldModelError as error:
        raise WorldModelError(f"{name}: {error}") from error


def _fits(value: object, option: Any) -> bool:
    if option is bool or isinstance(value, bool):
        return option is bool and isinstance(value, bool)
    if option is int:
        return isinstance(value, int) and abs(value) <= MOST
    if option is float:
        return isinstance(value, int | float) and abs(value) < math.inf
    return option in (str, type(None)) and isinstance(value, option)

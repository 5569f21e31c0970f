"""Strict translation between frozen dataclasses and plain JSON values."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from worldmodel.errors import WorldModelError

Record = TypeVar("Record")


def to_json(record: object) -> Any:
    """Gives plain JSON values of a dataclass, list, tuple, dict or scalar."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {
            field.name: to_json(getattr(record, field.name))
            for field in dataclasses.fields(record)
        }
    if isinstance(record, list | tuple):
        return [to_json(value) for value in record]
    if isinstance(record, dict):
        return {key: to_json(value) for key, value in record.items()}
    if record is None or isinstance(record, bool | int | float | str):
        return record
    raise WorldModelError(f"cannot write {type(record).__name__} {record!r} as JSON")


def from_json(kind: type[Record], value: Any, where: str) -> Record:
    """Gives the dataclass that `to_json` wrote.

    Args:
        kind: A dataclass whose fields are scalars, None, tuples of one type, dicts
            with text keys, Any, or such dataclasses.
        value: The JSON value.
        where: Name of the place, for errors.

    Raises:
        WorldModelError: A field is missing, unknown or of the wrong type.
    """
    if not isinstance(value, dict):
        raise WorldModelError(f"{where} must be an object, got {_show(value)}")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    missing = [name for name in names if name not in value]
    unknown = sorted(set(value) - set(names))
    if missing or unknown:
        raise WorldModelError(
            f"{where} must have the fields {names}; missing: {missing or 'none'}, "
            f"unknown: {unknown or 'none'}"
        )
    fields = {n: _decode(hints[n], value[n], f"{where}.{n}") for n in names}
    return kind(**fields)


def _decode(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _decode_optional(arguments, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise WorldModelError(f"{where} must be a list, got {_show(value)}")
        return tuple(
            _decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)
        )
    if origin is dict:
        if not isinstance(value, dict):
            raise WorldModelError(f"{where} must be an object, got {_show(value)}")
        return {
            key: _decode(arguments[1], item, f"{where}.{key}")
            for key, item in value.items()
        }
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, where)  # type: ignore[arg-type]
    return _decode_scalar(hint, value, where)


def _decode_optional(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    (kind,) = (kind for kind in kinds if kind is not type(None))
    return _decode(kind, value, where)


def _decode_scalar(kind: type, value: Any, where: str) -> Any:
    # In Python a bool is an int, and JSON may write the float 1.0 as 1.
    is_bool = isinstance(value, bool)
    if kind is float and isinstance(value, int | float) and not is_bool:
        return float(value)
    if isinstance(value, kind) and (kind is bool or not is_bool):
        return value
    raise WorldModelError(f"{where} must be a {kind.__name__}, got {_show(value)}")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""Makes the objects that a config describes, with errors that name the option."""

from __future__ import annotations

import inspect
import types
import typing
from dataclasses import is_dataclass
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig

from worldmodel.errors import OptionError

SIMPLE = (bool, int, float, str, type(None))


def instantiate(node: DictConfig) -> Any:
    """Gives the object of a node with a `_target_`, e.g. `config.planner`.

    Raises:
        OptionError: A value has the wrong type, or the object refuses it; the message
            begins with the key in the config.
    """
    _check_types(node)
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if not isinstance(cause, ValueError | TypeError | OSError):
            raise
        place = node._get_full_key(None) or node.get("_target_")
        raise OptionError(f"{place}: {cause}") from cause


def _check_types(node: DictConfig) -> None:
    """Compares plain values with the annotations of the class that gets them."""
    target = hydra.utils.get_object(node["_target_"])
    hints = _annotations(target)
    for key, value in node.items_ex(resolve=True):
        if isinstance(value, DictConfig) and "_target_" in value:
            _check_types(value)
        hint = hints.get(str(key))
        if value is None and hint is not None and not _takes_none(hint):
            raise OptionError(f"{node._get_full_key(str(key))} must be given, got null")
        allowed = _simple_types(hint)
        if allowed and not _fits(value, allowed):
            names = " or ".join(t.__name__ for t in allowed)
            raise OptionError(
                f"{node._get_full_key(str(key))} must be {names}, got {value!r}"
            )


def _annotations(target: object) -> dict[str, object]:
    """Gives the annotations of the arguments of a class or function."""
    is_plain_class = inspect.isclass(target) and not is_dataclass(target)
    try:
        return typing.get_type_hints(target.__init__ if is_plain_class else target)
    except NameError:  # an annotation that only a type checker can read
        return {}


def _takes_none(hint: object) -> bool:
    """Whether an annotation allows None."""
    options = typing.get_args(hint)
    return hint in (None, type(None), Any, object) or type(None) in options


def _simple_types(hint: object) -> tuple[type, ...]:
    """Gives the plain types of an annotation; empty where it allows any others."""
    options = (hint,)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = typing.get_args(hint)
    simple = tuple(o for o in options if isinstance(o, type) and o in SIMPLE)
    return simple if len(simple) == len(options) else ()


def _fits(value: object, allowed: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in allowed
    if isinstance(value, int):
        return int in allowed or float in allowed
    return isinstance(value, allowed)

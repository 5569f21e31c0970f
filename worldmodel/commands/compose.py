"""Turns a command and its `key=value` options into a config, with errors that help."""

from __future__ import annotations

import copy
import difflib
import functools
import inspect
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from worldmodel.commands.values import check_value
from worldmodel.errors import OptionError
from worldmodel.files.text import one_line
from worldmodel.resources import configs_folder

HYDRA_VERSION = "1.3"  # behaviour of Hydra that we rely on
# Names of files and folders: texts, whatever they look like (`out=2024`).
PATHS = (
    "cache",
    "data",
    "encoder",
    "projector_from",
    "goals",
    "goal",
    "out",
    "predictor",
    "problems",
    "tokens",
)


def compose_config(command: str, options: Sequence[str]) -> DictConfig:
    """Gives the resolved, read-only config of a command.

    An option names a key of the config (`samples=300`), a choice of a group
    (`planner=cem`), or a field of the dataclass behind a `_target_`, also one that the
    YAML leaves at its default (`planner.elites=30`).

    Args:
        command: Name of the command; `configs/<command>.yaml` is its config.
        options: The `key=value` texts after the command.

    Raises:
        OptionError: An option is malformed, unknown, missing, or of a wrong type.
    """
    overrides = _parse(options)
    groups = {o.key_or_group: own_group(command, o.key_or_group) for o in overrides}
    chosen = [o for o in overrides if group_choices(groups[o.key_or_group])]
    choices = [_choice(o, groups[o.key_or_group]) for o in chosen]
    base = _base(command, tuple(choices), configs_folder())
    lines = [_admit(base, override) for override in overrides if override not in chosen]
    config = _compose(command, choices + lines) if lines else copy.deepcopy(base)
    try:
        missing = sorted(OmegaConf.missing_keys(config))
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        raise OptionError(one_line(error)) from error
    if missing:
        wanted = " ".join(f"{key}=…" for key in missing)
        raise OptionError(f"worldmodel {command} also needs: {wanted}")
    OmegaConf.set_readonly(config, True)
    return config


def group_choices(group: str) -> list[str]:
    """Gives the names that a config group can take; empty where it is no group."""
    folder = configs_folder() / group
    return sorted(f.stem for f in folder.glob("*.yaml")) if folder.is_dir() else []


def own_group(command: str, option: str) -> str:
    """Gives the config group behind an option.

    One of a single command stands in a folder that is called like it: `recipe` of
    `pretrain` is `configs/pretrain/recipe/`.
    """
    own = f"{command}/{option}"
    return own if group_choices(own) else option


def default_config(command: str) -> DictConfig:
    """Gives the config of a command without options; required values are "???"."""
    return _base(command, (), configs_folder())


@functools.lru_cache(maxsize=64)
def _base(command: str, choices: tuple[str, ...], folder: Path) -> DictConfig:
    """The config of a command with these choices, made once; nobody changes it."""
    return _compose(command, choices)


def shown(value: object) -> str:
    """Gives a plain value as one would write it after the `=`."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _parse(options: Sequence[str]) -> list[Override]:
    parser = OverridesParser.create()
    overrides: list[Override] = []
    for option in options:
        try:
            override = parser.parse_override(option)
        except HydraException:
            override = _parse_text(parser, option)
        if override.type != OverrideType.CHANGE or override.is_sweep_override():
            raise OptionError(f"options are key=value, one value, got '{option}'")
        overrides.append(override)
    return overrides


def _parse_text(parser: OverridesParser, option: str) -> Override:
    """Reads an option whose value is no Hydra syntax, e.g. `goal=cup (1).png`."""
    key, equals, value = option.partition("=")
    # in Hydra's quotes a backslash counts only before a quote
    quoted = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    try:
        return parser.parse_override(f"{key}{equals}'{quoted}'")
    except HydraException as error:
        raise OptionError(f"options are key=value, got '{option}'") from error


def _choice(override: Override, group: str) -> str:
    """Checks the choice of a group; gives it as Hydra wants."""
    known, value = group_choices(group), override.value()
    if value not in known:
        raise OptionError(
            f"unknown {override.key_or_group} '{value}', known are: {', '.join(known)}"
        )
    return f"{group}={value}"


def _compose(command: str, lines: Sequence[str]) -> DictConfig:
    folder = str(Path(configs_folder()).absolute())
    try:
        with initialize_config_dir(folder, version_base=HYDRA_VERSION):
            return compose(command, overrides=list(lines))
    except HydraException as error:
        raise OptionError(one_line(error)) from error


def _admit(base: DictConfig, override: Override) -> str:
    """Checks an option against the config that it changes; gives it as Hydra wants."""
    path, _, key = override.key_or_group.rpartition(".")
    if any(part.startswith("_") for part in override.key_or_group.split(".")):
        known = _names(base)
        raise OptionError(_unknown(override.key_or_group, known))
    check_value(override.key_or_group, override.value())
    parent = OmegaConf.select(base, path) if path else base
    if not isinstance(parent, DictConfig):
        raise OptionError(_unknown(override.key_or_group, _names(base)))
    if not path and key in PATHS and isinstance(override.value(), int | float):
        return f"{key}='{_line(override).partition('=')[2]}'"
    node = OmegaConf.select(parent, key) if key in parent else None
    value = override.value()
    if isinstance(value, dict) and isinstance(node, DictConfig):
        _check_keys(override.key_or_group, value, node)
    if key in parent.keys():  # noqa: SIM118, `in parent` misses values still to be given
        _check_kind(override, parent)
        return _line(override)
    fields = _target_fields(parent)
    if key not in fields:
        known = {*_names(parent), *fields}
        raise OptionError(_unknown(override.key_or_group, known, path))
    return f"++{_line(override)}"


def _check_kind(override: Override, parent: DictConfig) -> None:
    """Refuses a text for a number, a number for a switch, and the like."""
    name, value = override.key_or_group, override.value()
    key = name.rpartition(".")[2]
    missing = OmegaConf.is_missing(parent, key)
    default = None if missing else parent[key]
    if value is None and (missing or (default is not None and not _is_field(parent))):
        wanted = "given" if missing else _like(default)
        raise OptionError(f"{name} must be {wanted}, got null")
    if value is None or default is None:
        return
    if isinstance(value, list) and _takes_lists(parent, key):
        return
    if _kind(default) != _kind(value):
        got = f"{shown(value):.60}"
        raise OptionError(f"{name} must be {_like(default)}, got {got}")
    if _is_whole(default) and not _is_field(parent) and not _is_whole(value):
        raise OptionError(
            f"{name} must be a whole number like {shown(default)}, got {shown(value)}"
        )


def _check_keys(name: str, values: Mapping[Any, Any], node: DictConfig) -> None:
    """Refuses a mapping with keys that its place does not know."""
    known = [*_names(node), *_target_fields(node)]
    for key, value in values.items():
        if str(key) not in known:
            raise OptionError(_unknown(f"{name}.{key}", known, name))
        inner = node.get(str(key))
        if isinstance(value, dict) and isinstance(inner, DictConfig):
            _check_keys(f"{name}.{key}", value, inner)


def _like(default: object) -> str:
    """Gives what a value must be, by the one that it replaces."""
    if isinstance(default, DictConfig):
        return f"a mapping of {', '.join(_names(default))}"
    return f"{_kind(default)} like {shown(default)}"


def _is_field(node: DictConfig) -> bool:
    """Whether a class of ours takes these values, which knows their types."""
    return "_target_" in node


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _takes_lists(node: DictConfig, key: str) -> bool:
    """Whether the class behind a node's `_target_` takes a list for a number, too."""
    if "_target_" not in node:
        return False
    hint = typing.get_type_hints(get_object(node["_target_"])).get(key)
    options = typing.get_args(hint)
    return any(typing.get_origin(option) is Sequence for option in options)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list | ListConfig) else "a mapping"


def _target_fields(node: DictConfig) -> list[str]:
    """Gives the arguments of the class behind a node's `_target_`."""
    target = node.get("_target_")
    return list(inspect.signature(get_object(target)).parameters) if target else []


def _names(node: DictConfig) -> list[str]:
    return [str(key) for key in node if not str(key).startswith("_")]


def _unknown(option: str, known: Iterable[str], path: str = "") -> str:
    names = sorted({f"{path}.{name}" if path else name for name in known})
    close = difflib.get_close_matches(option, names, n=1)
    hint = f", did you mean {close[0]}?" if close else ""
    return f"unknown option '{option}'{hint or ','} known are: {', '.join(names)}"


def _line(override: Override) -> str:
    return str(override.input_line)

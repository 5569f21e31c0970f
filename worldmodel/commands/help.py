"""The options of a command with their explanations, which the YAML and classes have."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Container
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from worldmodel.commands.compose import (
    default_config,
    group_choices,
    own_group,
    shown,
)
from worldmodel.resources import configs_folder

_WIDTH = 88
_KEY = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<rest>.*)$")
_ENTRY = re.compile(r"^    (?P<key>\w+): (?P<text>.*)$")
_GLOBAL = "# @package _global_"


def option_rows(command: str) -> list[str]:
    """Gives the lines that tell a command's options, defaults and explanations."""
    config = default_config(command)
    own = OmegaConf.load(configs_folder() / f"{command}.yaml")
    assert isinstance(own, DictConfig)
    groups = sorted((configs_folder() / command).glob("*/"))
    rows = [row for group in groups for row in _group_rows(group.name, command)]
    return rows + _rows(config, explanations(command, config), "", own.keys())


def unexplained(command: str) -> list[str]:
    """Gives the options that nothing explains."""
    config = default_config(command)
    told = explanations(command, config)
    return [name for name in _leaves(config, "") if not told.get(name)]


def explanations(command: str, config: DictConfig) -> dict[str, str]:
    """Gives an explanation by option, e.g. "planner.samples".

    The comment above a key in the YAML comes first; where there is none, what the
    docstring of the class behind `_target_` says of its attribute.
    """
    return _of_classes(config, "") | _of_files(command, "")


def comments(text: str) -> dict[str, str]:
    """Gives the comment above each key of a YAML text, by the key's dotted path."""
    found: dict[str, str] = {}
    above: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        content = line.strip()
        if content.startswith("#"):
            if content != _GLOBAL:
                above.append(content.removeprefix("#").strip())
            continue
        match = _KEY.match(line)
        if match:
            indent = len(match["indent"])
            parents = [(i, key) for i, key in parents if i < indent]
            parents.append((indent, match["key"]))
            if above:
                found[".".join(key for _, key in parents)] = " ".join(above)
        above = []
    return found


def attributes(docstring: str) -> dict[str, str]:
    """Gives what a Google-style docstring says of each attribute or argument."""
    found: dict[str, str] = {}
    is_inside, key = False, ""
    for line in inspect.cleandoc(docstring).splitlines():
        if not line.startswith(" "):
            is_inside = line.strip() in ("Attributes:", "Args:") or (
                is_inside and not line.strip()
            )
            continue
        match = _ENTRY.match(line)
        if is_inside and match:
            key = match["key"]
            found[key] = match["text"]
        elif is_inside and key:
            found[key] += f" {line.strip()}"
    return found


def _of_files(name: str, prefix: str) -> dict[str, str]:
    """Comments of a YAML and, below them, of those that its defaults name."""
    text = (configs_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    found = {f"{prefix}{key}": told for key, told in comments(text).items()}
    node = OmegaConf.create(text)
    assert isinstance(node, DictConfig)
    for entry in node.get("defaults", []):
        if not isinstance(entry, DictConfig):
            continue
        for choice, file in entry.items():
            group = str(choice).removeprefix("override ").strip("/ ")
            path = configs_folder() / group / f"{file}.yaml"
            is_global = path.read_text(encoding="utf-8").startswith(_GLOBAL)
            inner = _of_files(f"{group}/{file}", "" if is_global else f"{group}.")
            found = inner | found
    return found


def _of_classes(node: DictConfig, prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if "_target_" in node:
        told = attributes(inspect.getdoc(get_object(node["_target_"])) or "")
        found = {f"{prefix}{key}": text for key, text in told.items()}
    for key in node:
        value = node._get_node(key)
        if isinstance(value, DictConfig):
            found |= _of_classes(value, f"{prefix}{key}.")
    return found


def _leaves(config: DictConfig, prefix: str) -> list[str]:
    found: list[str] = []
    for key in config:
        value = config._get_node(key)
        if isinstance(value, DictConfig):
            found += _leaves(value, f"{prefix}{key}.")
        elif not str(key).startswith("_"):
            found.append(f"{prefix}{key}")
    return found


def _rows(
    config: DictConfig, told: dict[str, str], prefix: str, first: Container[Any] = ()
) -> list[str]:
    rows: list[str] = []
    for key in sorted(config, key=lambda key: key not in first):
        name = f"{prefix}{key}"
        if str(key).startswith("_"):
            continue
        if group_choices(name):
            rows += _group_rows(name)
        value = config._get_node(key)
        if isinstance(value, DictConfig):
            if told.get(name):
                rows += ["", *_wrapped(f"{name}: {told[name]}", "  ")]
            rows += _rows(value, told, f"{name}.")
        else:
            rows.append(f"  {name}={_default(config, str(key))}")
            rows += _wrapped(told.get(name, ""), "      ")
    return rows


def _group_rows(option: str, command: str = "") -> list[str]:
    """The names that a group takes, each with what its file says first."""
    group = own_group(command, option)
    names = group_choices(group)
    width = max(map(len, names))
    rows = [f"  {option}=…  one of:"]
    for name in names:
        text = (configs_folder() / group / f"{name}.yaml").read_text(encoding="utf-8")
        first = _first_sentence(text)
        rows += _wrapped(f"{name:<{width}}  {first}".rstrip(), "      ", width + 8)
    return rows


def _first_sentence(text: str) -> str:
    """The first sentence of the comment that a file begins with, or of its class."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if line != _GLOBAL:
            lines.append(line.removeprefix("#").strip())
    told = " ".join(lines)
    target = re.search(r"^_target_: (\S+)$", text, re.MULTILINE)
    if not told and target:
        told = (inspect.getdoc(get_object(target[1])) or "").partition("\n\n")[0]
    # "et al. 2024" ends no sentence
    return re.split(r"(?<!al)\.(?:\s|$)|[;:]\s", told.replace("\n", " "))[0]


def _wrapped(text: str, indent: str, hanging: int = 0) -> list[str]:
    later = " " * hanging or indent
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=later,
        drop_whitespace=True,
        break_on_hyphens=False,
    )


def _default(config: DictConfig, key: str) -> str:
    if OmegaConf.is_missing(config, key):
        return "…  (required)"
    return shown(config[key])

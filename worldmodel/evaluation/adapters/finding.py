"""Finds the adapter of an env by name, and makes the env."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import gymnasium as gym

from worldmodel.errors import OptionError
from worldmodel.evaluation.adapters.adapter import Adapter

GROUP = "worldmodel.adapters"  # entry points: an env's id = package.module:Class
_HERE = __package__


@dataclass(frozen=True)
class Shipped:
    """An adapter that comes with this package.

    Attributes:
        place: Its module here and its class.
        extra: What to install for its env, as pip is told.
    """

    place: str
    extra: str = ""


SHIPPED = {
    "gym_pusht/PushT-v0": Shipped("pusht:PushT", "worldmodel-planner[pusht]"),
    "cube-single-v0": Shipped("ogbench:Cube", "worldmodel-planner[ogbench]"),
    "visual-cube-single-v0": Shipped("ogbench:Cube", "worldmodel-planner[ogbench]"),
    "swm/PushT-v1": Shipped("swm:SwmPushT", "worldmodel-planner[swm]"),
    "swm/TwoRoom-v1": Shipped("swm:TwoRoom", "worldmodel-planner[swm]"),
    "swm/OGBCube-v0": Shipped("swm:SwmCube", "worldmodel-planner[swm,ogbench]"),
    **{
        f"worldmodel/{task}-v0": Shipped("tabletop:Tabletop")
        for task in ("Reach", "Push", "PickPlace")
    },
}


def find_adapter(env_id: str, named: str | None = None) -> type[Adapter]:
    """Gives the adapter class of an env.

    Args:
        env_id: Id of the env, as Gymnasium knows it.
        named: `file.py:Class` or `package.module:Class`; None looks the id up among
            entry points of the group `worldmodel.adapters`, then among those that
            ship, and takes the plain `Adapter` for any other.

    Raises:
        OptionError: There is no such file, module or class, or it is no `Adapter`.
    """
    if named is not None:
        return _loaded(named)
    for entry in importlib.metadata.entry_points(group=GROUP):
        if entry.name == env_id:
            return _checked(entry.load(), f"entry point {env_id} of {GROUP}")
    if env_id in SHIPPED:
        module, _, name = SHIPPED[env_id].place.partition(":")
        return getattr(importlib.import_module(f"{_HERE}.{module}"), name)
    return Adapter


def make_adapter(env_id: str, kind: type[Adapter]) -> Adapter:
    """Makes an env, with the adapter that holds it.

    Raises:
        OptionError: The package that brings the env is missing, nobody registered it,
            or it cannot be made; the message says what to do.
    """
    try:
        if kind.module:
            importlib.import_module(kind.module)
        options = {"render_mode": "rgb_array", **kind.options}
        env = gym.make(
            env_id, max_episode_steps=-1, disable_env_checker=True, **options
        )
    except ImportError as error:
        extra = SHIPPED[env_id].extra if env_id in SHIPPED else ""
        install = f"pip install '{extra}'" if extra else "install what it needs"
        raise OptionError(
            f"env={env_id} cannot be made ({error}): {install}"
        ) from error
    except gym.error.UnregisteredEnv as error:
        raise OptionError(
            f"no env {env_id} is registered with Gymnasium; known here without more: "
            f"{', '.join(SHIPPED)}. One of your own is registered by the file of its "
            "adapter (adapter=file.py:Class), or by its module (env=module:Id-v0)"
        ) from error
    except (gym.error.Error, TypeError) as error:
        raise OptionError(f"env={env_id} cannot be made: {error}") from error
    return kind(env)


def require_methods(kind: type[Adapter], methods: tuple[str, ...], env_id: str) -> None:
    """Checks that an adapter says what a command asks of it.

    Args:
        kind: The adapter's class.
        methods: Names of methods, and of attributes that must not be empty.
        env_id: Id of the env, for the error.

    Raises:
        OptionError: It lacks some.
    """
    lacks = [name for name in methods if not _says(kind, name)]
    if lacks:
        raise OptionError(
            f"env={env_id} needs {', '.join(lacks)}, which the adapter "
            f"{kind.__name__} lacks: write one with adapter=file.py:Class, see "
            "docs/own_robot.md"
        )


def _says(kind: type[Adapter], name: str) -> bool:
    if callable(getattr(Adapter, name)):
        return kind.has(name)
    return isinstance(getattr(kind, name), property) or bool(getattr(kind, name))


def source_of(kind: type[Adapter]) -> str:
    """Gives the text of an adapter's class, so that another is told from it."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return f"{kind.__module__}.{kind.__qualname__}"


def _loaded(named: str) -> type[Adapter]:
    place, colon, name = named.rpartition(":")
    if not colon or not place or not name:
        raise OptionError(
            f"adapter must be file.py:Class or package.module:Class, got {named!r}"
        )
    module = (
        _file(Path(place).expanduser()) if place.endswith(".py") else _module(place)
    )
    if not hasattr(module, name):
        known = [key for key, value in vars(module).items() if _is_adapter(value)]
        raise OptionError(
            f"adapter={named}: {place} has no {name}, its adapters are: "
            f"{', '.join(known) or 'none'}"
        )
    return _checked(getattr(module, name), f"adapter={named}")


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise OptionError(f"adapter={path}: there is no such file")
    name = f"worldmodel_adapter_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:  # what lies beside it can be imported, as by a script
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise OptionError(f"adapter={path} cannot be imported: {error}") from error
    return module


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise OptionError(f"adapter={name} cannot be imported: {error}") from error


def _is_adapter(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Adapter)


def _checked(value: object, what: str) -> type[Adapter]:
    if isinstance(value, type) and issubclass(value, Adapter):
        return value
    raise OptionError(
        f"{what} must be a subclass of worldmodel.evaluation.adapters.Adapter, got "
        f"{value!r}"
    )

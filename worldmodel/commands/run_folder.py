"""The folder that a run writes into, with the config that it ran with."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from worldmodel.errors import OptionError
from worldmodel.files.atomic import new_file, remove_leftovers
from worldmodel.files.json_file import read_object
from worldmodel.files.lock import FileLock
from worldmodel.version import __version__

RUNS = Path("runs")
_PLACES = ("out", "cache", "cache_limit")  # they change nothing in what a run makes
CONFIG_FILE = "config.yaml"
SOURCES_FILE = "sources.json"
LOCK_FILE = ".lock"
_STEPS, _EARLIER = ".schedule.steps", ".schedule.extended_from"
_NONE = object()  # unlike every value
_NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})
_SHOWN = 8  # differences that an error names


@dataclass(frozen=True)
class RunFolder:
    """Where a run writes.

    Attributes:
        path: The folder, which exists.
        is_resumed: Whether the same command ran here before.
    """

    path: Path
    is_resumed: bool


@contextmanager
def open_run_folder(
    command: str, config: DictConfig, stale: Mapping[str, Sequence[str]] = _NOTHING
) -> Iterator[RunFolder]:
    """Makes or reopens the folder of a run and saves its resolved config there.

    `out=` in the config names the folder; without it a new one is made under
    `runs/<command>/` and named after the time. A folder where the same command ran with
    the same config is reopened, so that the run goes on; it may go on for more steps.
    Inside the block no other process can open it, and when this one dies others can.

    Args:
        command: Name of the command.
        config: Its config; `out` must be among its keys.
        stale: Files that must be made anew when the option `….schedule.steps` has
            grown, by the name of that option.

    Raises:
        OptionError: The folder holds another run, or something else, or is in use.
    """
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    values = {str(key): v for key, v in values.items() if key not in _PLACES}
    values = {"command": command, **values}
    path = Path(config.out).expanduser() if config.out else _new_path(command)
    _check_place(path)
    with _lock(path):
        is_resumed = (path / CONFIG_FILE).is_file()
        if is_resumed:
            grown = _check_same(path, values)
            for name in (file for option in grown for file in stale.get(option, ())):
                (path / name).unlink(missing_ok=True)
            remove_leftovers(path)
        with new_file(path / CONFIG_FILE) as staging:
            text = OmegaConf.to_yaml(OmegaConf.create(values))
            staging.write_text(f"# worldmodel {__version__}\n{text}", encoding="utf-8")
        yield RunFolder(path, is_resumed)


def check_sources(folder: Path, sources: Mapping[str, str | list[str] | None]) -> None:
    """Keeps what a run reads, by its hashes, and refuses to go on with something else.

    Paths stand in the config; what lies there may have been made anew since.

    Args:
        folder: The run's folder.
        sources: Hash or hashes of each input, by the name of its option.

    Raises:
        OptionError: The run began with another input of these.
    """
    file = folder / SOURCES_FILE
    if not file.is_file():
        with new_file(file) as staging:
            staging.write_text(json.dumps(dict(sources), indent=1), encoding="utf-8")
        return
    before = read_object(file)
    changed = [name for name, found in sources.items() if before.get(name) != found]
    if changed:
        raise OptionError(
            f"{folder} began with other contents of {', '.join(changed)} than lie "
            "there now; choose another out=, or bring them back"
        )


def _new_path(command: str) -> Path:
    """Makes a folder that no other process has made."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    (RUNS / command).mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = RUNS / command / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError("there are always more numbers")


def saved_config(file: Path) -> dict[Any, Any]:
    """Gives what a run's config says.

    Raises:
        OptionError: It is no YAML of ours.
    """
    try:
        saved = OmegaConf.to_container(OmegaConf.load(file))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, OSError) as error:
        why = str(error).splitlines()[0]
    except RecursionError:
        why = "it is nested too deep"
    else:
        if isinstance(saved, dict):
            return saved
        why = "it holds no mapping"
    raise OptionError(f"{file} is damaged ({why}): delete it, or choose another out=")


def _check_place(path: Path) -> None:
    """Raises unless a path is free, or a folder that a run has begun to fill."""
    if not path.exists() or (path / CONFIG_FILE).is_file():
        return
    begun = {LOCK_FILE, f".{CONFIG_FILE}.staging"}
    if not path.is_dir() or {entry.name for entry in path.iterdir()} - begun:
        raise OptionError(
            f"{path} exists and is no folder of a run; choose another out="
        )


def _lock(path: Path) -> FileLock:
    try:
        return FileLock(path / LOCK_FILE, wait=False)
    except BlockingIOError as error:
        raise OptionError(
            f"{path} is in use by another process; wait for it or stop it, or choose "
            "another out="
        ) from error


def _check_same(path: Path, wanted: dict[str, Any]) -> list[str]:
    """Gives the numbers of steps that have grown; nothing else may differ."""
    saved = saved_config(path / CONFIG_FILE)
    there, now = dict(_leaves(saved)), dict(_leaves(wanted))
    unknown = now.keys() - there.keys()  # options that came after the run began
    there |= {k: None for k in unknown if now[k] is None and "." not in k}
    changed = [k for k in {**there, **now} if there.get(k, _NONE) != now.get(k, _NONE)]
    grown = [k for k in changed if k.endswith(_STEPS) and _is_more(there, now, k)]
    earlier = [k.replace(_STEPS, _EARLIER) for k in changed if k.endswith(_STEPS)]
    foreign = [key for key in changed if key not in grown + earlier]
    if foreign:
        shown = [
            f"{key}: {_text(there, key)} there, {_text(now, key)} now"
            for key in foreign[:_SHOWN]
        ]
        if len(foreign) > _SHOWN:
            shown.append(f"and {len(foreign) - _SHOWN} more")
        raise OptionError(
            f"{path} holds another run ({'; '.join(shown)}); choose another out="
        )
    for key in grown:
        print(
            f"{key} was {there[key]}, is {now[key]}: the first {there[key]} steps keep "
            f"their learning rates, the others follow the cosine over {now[key]}"
        )
    return grown


def _is_more(there: dict[str, Any], now: dict[str, Any], key: str) -> bool:
    before, after = there.get(key), now.get(key)
    return isinstance(before, int) and isinstance(after, int) and after > before


def _leaves(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Values that are no mappings, by their dotted names."""
    if not isinstance(values, dict) or not values:
        yield name, values
        return
    for key, inner in values.items():
        yield from _leaves(inner, f"{name}.{key}" if name else str(key))


def _text(values: dict[str, Any], key: str) -> str:
    if key not in values:
        return "not"
    text = str(values[key])
    return text if len(text) <= 60 else f"{text[:57]}..."

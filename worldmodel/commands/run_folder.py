"""The folder that a run writes into, with the config that it ran with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from worldmodel.atomic import new_file
from worldmodel.errors import OptionError
from worldmodel.version import __version__

RUNS = Path("runs")
CONFIG_FILE = "config.yaml"
SOURCES_FILE = "sources.json"


@dataclass(frozen=True)
class RunFolder:
    """Where a run writes.

    Attributes:
        path: The folder, which exists.
        is_resumed: Whether the same command ran here before.
    """

    path: Path
    is_resumed: bool


def open_run_folder(
    command: str, config: DictConfig, may_change: Sequence[str] = ()
) -> RunFolder:
    """Makes or reopens the folder of a run and saves its resolved config there.

    `out=` in the config names the folder; without it a new one is made under
    `runs/<command>/` and named after the time. A folder where the same command ran with
    the same config is reopened, so that the run goes on.

    Args:
        command: Name of the command.
        config: Its config; `out` must be among its keys.
        may_change: Top-level keys that may differ when a run goes on, e.g. "steps".

    Raises:
        OptionError: The folder holds another run, or something else.
    """
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    values = {str(key): v for key, v in values.items() if key != "out"}
    path = Path(config.out).expanduser() if config.out else _new_path(command)
    is_resumed = (path / CONFIG_FILE).is_file()
    if is_resumed:
        _check_same(path, command, values, may_change)
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OptionError(
            f"{path} exists and is no folder of a run; choose another out="
        )
    text = OmegaConf.to_yaml(OmegaConf.create({"command": command, **values}))
    with new_file(path / CONFIG_FILE) as staging:
        staging.write_text(f"# worldmodel {__version__}\n{text}", encoding="utf-8")
    return RunFolder(path, is_resumed)


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
    before = json.loads(file.read_text(encoding="utf-8"))
    changed = [name for name, found in sources.items() if before.get(name) != found]
    if changed:
        raise OptionError(
            f"{folder} began with other contents of {', '.join(changed)} than lie "
            "there now; choose another out=, or bring them back"
        )


def _new_path(command: str) -> Path:
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path = RUNS / command / stamp
    number = 2
    while path.exists():
        path = RUNS / command / f"{stamp}_{number}"
        number += 1
    return path


def _check_same(
    path: Path, command: str, values: dict[str, Any], may_change: Sequence[str]
) -> None:
    saved = OmegaConf.to_container(OmegaConf.load(path / CONFIG_FILE))
    assert isinstance(saved, dict)
    wanted = {"command": command, **values}
    differences = [
        f"{key} was {saved.get(key)}, is {wanted.get(key)}"
        for key in sorted({str(key) for key in saved} | set(wanted))
        if saved.get(key) != wanted.get(key) and key not in may_change
    ]
    if differences:
        raise OptionError(
            f"{path} holds another run ({'; '.join(differences)}); choose another out="
        )

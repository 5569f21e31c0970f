"""The console script: `worldmodel <command> [key=value …]`, `python -m worldmodel`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from omegaconf import DictConfig

from envs.graphics import NoGraphicsError, select_backend
from worldmodel.commands.compose import compose_config
from worldmodel.commands.help import option_rows
from worldmodel.commands.invocation import invoked
from worldmodel.commands.out_of_memory import out_of_memory
from worldmodel.errors import OptionError
from worldmodel.version import __version__

HELP = ("-h", "--help", "help")
TRACEBACK = "--traceback"
MENDABLE = (ValueError, OSError, NoGraphicsError)  # ours are ValueErrors


@dataclass(frozen=True)
class Command:
    """A command: the module of its name in this package, with `run` and `EXAMPLE`.

    Attributes:
        summary: One line for the overview.
        renders: Whether a GL backend is to be chosen before it runs.
    """

    summary: str
    renders: bool = False


COMMANDS = {
    "collect": Command("record a dataset of play", renders=True),
    "practice": Command("let a model play toward goals, recorded", renders=True),
    "inspect": Command("what a dataset holds, and how it will be read"),
    "pretrain": Command("learn the video encoder"),
    "train": Command("learn what plans on a frozen encoder"),
    "train_ac": Command("learn V-JEPA 2-AC's predictor on a published encoder"),
    "evaluate": Command(
        "success of a model in closed loop, with a floor", renders=True
    ),
    "plan": Command("control toward one goal picture, filmed", renders=True),
    "convert": Command("bring an older checkpoint to the present format"),
    "report": Command("tables from results alone"),
    "demo": Command("watch the shipped model at work", renders=True),
    "doctor": Command("what works on this machine, and how fast"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The words after `worldmodel`; those of the process by default.

    Returns:
        The exit status: 0 done, 1 the command says no, 2 an input that can be mended,
        130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch([word for word in words if word != TRACEBACK])
    except MENDABLE as error:
        if TRACEBACK in words:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, MemoryError) as error:
        told = out_of_memory(error)
        if told is None or TRACEBACK in words:
            raise
        print(f"error: {told}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in HELP:
        print(_overview())
        return 0
    if words[0] == "--version":
        print(f"worldmodel {__version__}")
        return 0
    name, options = words[0], words[1:]
    if name not in COMMANDS:
        raise OptionError(f"unknown command '{name}', known are: {', '.join(COMMANDS)}")
    if any(option in HELP for option in options):
        print(_command_help(name))
        return 0
    config = compose_config(name, options)
    if COMMANDS[name].renders:
        _find_graphics(config)  # before the command's module imports mujoco
    with invoked(words):
        return _module(name).run(config) or 0


def _find_graphics(config: DictConfig) -> None:
    """Chooses what MuJoCo renders with; an env of others may do without."""
    try:
        select_backend()
    except NoGraphicsError:
        if config.get("env") is None:
            raise


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"worldmodel.commands.{name}")


def _overview() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {c.summary}" for name, c in COMMANDS.items()]
    return "\n".join(
        [
            "worldmodel <command> [key=value …]",
            "",
            *rows,
            "",
            "worldmodel <command> --help shows its options and an example.",
            f"{TRACEBACK} shows where an error came from, --version the version.",
        ]
    )


def _command_help(name: str) -> str:
    module = _module(name)
    return "\n".join(
        [
            f"worldmodel {name} [key=value …]",
            "",
            (module.__doc__ or "").strip(),
            "",
            "options:",
            *option_rows(name),
            "",
            "example:",
            f"  {module.EXAMPLE}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

"""Options that are whole numbers, with bounds that a message can name."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from worldmodel.errors import OptionError

MOST_EPISODES = 1_000_000
MOST_STEPS = 10_000  # of an episode
MOST_WORKERS = 256
MOST_SEED = 2**63 - 1


def require_whole(config: DictConfig, name: str, low: int, high: int) -> None:
    """Raises OptionError unless an option is a whole number in [low, high]."""
    value = config[name]
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:
        raise OptionError(
            f"{name} must be a whole number in [{low}, {high}], got {value}"
        )


def folder_option(config: DictConfig, name: str) -> Path:
    """Gives the folder that an option names.

    Raises:
        OptionError: The option is empty.
    """
    text = str(config[name])
    if not text.strip() or "\0" in text:
        raise OptionError(f"{name} must name a folder, got {text!r}")
    return Path(text).expanduser()

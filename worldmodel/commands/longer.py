"""Trainings that go on for more steps than they were begun with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from worldmodel.commands.run_folder import CONFIG_FILE, saved_config

_SCHEDULE = "schedule"


def with_earlier_steps(config: DictConfig) -> DictConfig:
    """Gives a config that knows how many steps its run folder was begun with.

    Where `schedule.steps` is more than in the folder, `schedule.extended_from` names
    the earlier numbers: those steps keep their learning rates. So the result depends
    on which commands were given, not on when one was killed.

    Args:
        config: As the user wrote it; `out` is among its keys.
    """
    if not config.out:
        return config
    file = Path(config.out).expanduser() / CONFIG_FILE
    if not file.is_file():
        return config
    saved, known = OmegaConf.create(saved_config(file)), config.copy()
    OmegaConf.set_readonly(known, False)
    for name in _schedules(OmegaConf.to_container(config, resolve=True)):
        before, now = OmegaConf.select(saved, name), OmegaConf.select(known, name)
        if before is None or now.get("extended_from"):
            continue
        earlier = [*(before.get("extended_from") or []), before.steps]
        earlier = [steps for steps in earlier if steps < now.steps]
        if earlier:
            OmegaConf.update(known, f"{name}.extended_from", earlier, force_add=True)
    OmegaConf.set_readonly(known, OmegaConf.is_readonly(config))
    return known


def _schedules(values: Any, name: str = "") -> Iterator[str]:
    """Dotted names of all schedules in a config."""
    if not isinstance(values, dict):
        return
    for key, inner in values.items():
        full = f"{name}.{key}" if name else str(key)
        if key == _SCHEDULE and isinstance(inner, dict) and "steps" in inner:
            yield full
        else:
            yield from _schedules(inner, full)

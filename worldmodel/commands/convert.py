"""Converts a checkpoint of an older format to the present one; its numbers stay.

The old folder stays as it is; what lies beside its tensors (a card, frames) is copied.
"""

from __future__ import annotations

import shutil

from omegaconf import DictConfig

from worldmodel.checkpoints.checkpoint import (
    CARD_FILE,
    CONFIG_FILE,
    TENSORS_FILE,
    read_checkpoint,
    save_checkpoint,
)
from worldmodel.checkpoints.convert import convert_config, convert_tensors
from worldmodel.commands.limits import folder_option
from worldmodel.errors import CheckpointError, OptionError

EXAMPLE = "worldmodel convert model=runs/old/model out=runs/new/model"
OLD_FORMAT = 1


def run(config: DictConfig) -> int:
    """Reads the old folder and writes the new one."""
    source, target = folder_option(config, "model"), folder_option(config, "out")
    if target.exists():
        raise OptionError(f"{target} exists; choose another out=")
    old = read_checkpoint(source, OLD_FORMAT)
    tensors = convert_tensors(old.tensors)
    try:
        converted = convert_config(old.config, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source} can not be converted: {error}") from error
    card = source / CARD_FILE
    text = card.read_text(encoding="utf-8") if card.is_file() else "# Converted\n"
    save_checkpoint(target, converted, tensors, text)
    for file in source.iterdir():
        if file.is_file() and file.name not in (CARD_FILE, CONFIG_FILE, TENSORS_FILE):
            shutil.copy(file, target / file.name)
    print(f"the converted checkpoint is in {target}")
    return 0

"""Finds the configs and shipped weights, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from worldmodel.errors import WorldModelError

PACKAGE = Path(__file__).resolve().parent


def configs_folder() -> Path:
    """Gives the folder of the Hydra YAML files."""
    return _folder("configs")


def weights_folder() -> Path:
    """Gives the folder whose sub-folders are the shipped checkpoints."""
    return _folder("weights")


def shipped_weights() -> list[str]:
    """Gives the names of the shipped checkpoints, sorted."""
    folders = weights_folder().iterdir()
    return sorted(f.name for f in folders if (f / "config.json").is_file())


def find_weights(name: str | Path) -> Path:
    """Gives the folder of a checkpoint.

    Args:
        name: Name of a shipped checkpoint, or the path of any checkpoint folder. A
            folder of that path is preferred.

    Raises:
        WorldModelError: Neither exists; the message lists the shipped names.
    """
    if str(name) and Path(name).is_dir():
        return Path(name)
    if str(name) in shipped_weights():
        return weights_folder() / name
    known = ", ".join(shipped_weights()) or "none"
    raise WorldModelError(
        f"no checkpoint '{name}': neither a folder nor a shipped name ({known})"
    )


def _folder(name: str) -> Path:
    """Gives a data folder: inside the package in a wheel, beside it in a checkout."""
    places = (PACKAGE / f"_{name}", PACKAGE.parent / name)
    for folder in places:
        if folder.is_dir():
            return folder
    looked = " and ".join(str(folder) for folder in places)
    raise WorldModelError(
        f"the {name} are missing, looked in {looked}; install the package again"
    )

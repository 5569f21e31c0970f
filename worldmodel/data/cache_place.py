"""Where the decoded frames of a dataset go: beside it, or where one may write."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from worldmodel.data import layout
from worldmodel.data.errors import DatasetError
from worldmodel.data.source import EpisodeSource

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_DIGITS = 16  # of a fingerprint, in a folder's name


def cache_folder(dataset: EpisodeSource, chosen: Path | None = None) -> Path:
    """Gives the folder for a dataset's caches.

    Args:
        dataset: The dataset.
        chosen: Folder for caches of any datasets; each has one of its own in there.
            None: `.cache` in the dataset's folder, or, where nothing can be written
            there, one in the user's cache folder (`XDG_CACHE_HOME`, or `~/.cache`).

    Raises:
        DatasetError: Nothing can be written in the chosen folder, or in any.
    """
    own = dataset.fingerprint()[:_DIGITS]
    if chosen is not None:
        return _writable(chosen.expanduser() / own)
    beside = dataset.path / layout.CACHE
    try:
        _try_to_write(beside)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return _writable(user_cache() / own)
    return beside


def user_cache() -> Path:
    """Gives the folder for what this package may make anew, of this user."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return home / "worldmodel"


def _writable(folder: Path) -> Path:
    try:
        _try_to_write(folder)
    except OSError as error:
        raise DatasetError(
            f"nothing can be written at {folder} ({error.strerror}): name another "
            "folder with cache="
        ) from error
    return folder


def _try_to_write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass

"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worldmodel.errors import WriteError

_STAGING, _REPLACED = ".staging", ".replaced"
_FOREIGN = ".tmp??????"  # safetensors wrote these in earlier versions


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Writes a file that holds, after a crash, the old or the new content.

    Args:
        path: The file; its folder is made where missing.

    Yields:
        The staging file to write; it takes its place when the block ends well.

    Raises:
        WriteError: The disk is full, or the file cannot be written for another reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = _staging(path)
    try:
        with writing(path):
            yield staging
            _flush(staging)
            os.replace(staging, path)
            _flush(path.parent)
    finally:
        staging.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fills a folder that appears at its place only when the block ends well.

    A folder that stood there is replaced. Where a crash came between the two renames
    `surviving_folder` finds the old one.

    Args:
        path: Where the folder shall be; its parent is made where missing.

    Yields:
        The staging folder to write files into.

    Raises:
        WriteError: The disk is full, or a file cannot be written for another reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = _staging(path)
    shutil.rmtree(staging, ignore_errors=True)  # left behind by a killed process
    staging.mkdir()
    try:
        with writing(path):
            yield staging
            for file in staging.iterdir():
                _flush(file)
            _swap(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def surviving_folder(path: Path) -> Path:
    """Gives the folder to read: the one in place, else the one it was to replace."""
    if not path.name:  # "." and "/" stand where they are
        return path
    old = _replaced(path)
    return old if old.is_dir() and not path.exists() else path


def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes were writing into a folder and those below it.

    Call it where no other process is writing: holding the folder's lock. Folders below
    with a lock of their own are left alone; so is a replaced folder with no successor.
    """
    for root, folders, files in os.walk(folder):
        here = Path(root)
        if here != folder and any(name.endswith("lock") for name in files):
            folders.clear()
            continue
        for name in [*folders, *files]:
            if _is_leftover(here / name):
                _remove(here / name)
        folders[:] = [name for name in folders if (here / name).is_dir()]


def remove_leftovers_of(path: Path) -> None:
    """Removes what killed processes that wrote a file or folder left beside it."""
    for leftover in (_staging(path), _replaced(path)):
        if leftover.exists() and _is_leftover(leftover):
            _remove(leftover)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes an error in writing say which file it was, and what to do.

    Raises:
        WriteError: In place of an `OSError` that names no file, or the staging one.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        named = error.filename
        if named is not None and not str(named).startswith(str(_staging(path))):
            raise
        raise WriteError(
            f"cannot write {path}: {error.strerror or error}; what stood there before "
            "is unchanged; make room or name another place, and run the same command "
            "again"
        ) from error


def _is_leftover(path: Path) -> bool:
    name = path.name
    is_staged = name.startswith(".") and name.endswith(_STAGING)
    if path.is_file():
        return is_staged or path.match(_FOREIGN)
    if name.startswith(".") and name.endswith(_REPLACED):
        return path.with_name(name[1:].removesuffix(_REPLACED)).exists()
    return is_staged


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _swap(staging: Path, path: Path) -> None:
    old = _replaced(path)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(path, old)
    os.rename(staging, path)
    _flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _staging(path: Path) -> Path:
    return path.with_name(f".{path.name}{_STAGING}")


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}{_REPLACED}")


def _flush(path: Path) -> None:
    """Waits until a file or folder is on the disk, where the system can tell."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

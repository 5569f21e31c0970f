"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Writes a file that holds, after a crash, the old or the new content.

    Args:
        path: The file; its folder is made where missing.

    Yields:
        The staging file to write; it takes its place when the block ends well.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = _staging(path)
    try:
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
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = _staging(path)
    shutil.rmtree(staging, ignore_errors=True)  # left behind by a killed process
    staging.mkdir()
    try:
        yield staging
        for file in staging.iterdir():
            _flush(file)
        _swap(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def surviving_folder(path: Path) -> Path:
    """Gives the folder to read: the one in place, else the one it was to replace."""
    old = _replaced(path)
    return old if old.is_dir() and not path.exists() else path


def _swap(staging: Path, path: Path) -> None:
    old = _replaced(path)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(path, old)
    os.rename(staging, path)
    _flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _staging(path: Path) -> Path:
    return path.with_name(f".{path.name}.staging")


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def _flush(path: Path) -> None:
    """Waits until a file or folder is on the disk, where the system can tell."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

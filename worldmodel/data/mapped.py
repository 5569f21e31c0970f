"""Arrays on disk that are filled through memory."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike


def new_mapped(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """Makes an .npy file of zeros and maps it.

    Its place on the disk is taken at once: a mapped write to a full disk would kill the
    process.

    Raises:
        OSError: The disk is too full.
    """
    array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, path.stat().st_size))
    return array


def unnamed_mapped(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Maps zeros uint8 of a file that has no name and ends with this process.

    Raises:
        OSError: The disk of that folder is too full.
    """
    size = math.prod(shape)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(size)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), np.uint8).reshape(shape)

"""Arrays on disk that are filled through memory."""

from __future__ import annotations

import os
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

"""Decoded frames of which no more than so many bytes are kept."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import DTypeLike

from worldmodel.data.errors import DatasetError
from worldmodel.data.lazy_frames import (
    Chunks,
    LazySource,
    in_threads,
    pictures_of,
    rows_asked,
)
from worldmodel.data.mapped import unnamed_mapped

KEPT = 8  # frames of a chunk; more would hardly be asked for before they are dropped
_NONE = -1  # no slot, or no chunk


class LimitedFrames:
    """All frames of a dataset, uint8 (N, height, width, 3), for indexing by rows.

    A chunk is decoded when it is asked for, into one of a number of slots; where none
    is free, the chunk that nobody asked for the longest gives up its own. The slots are
    a file without a name, whose place on the disk is taken at the beginning and given
    back when the process ends, however it ends; another process has slots of its own.
    What is given are copies. Callable from several threads.
    """

    def __init__(
        self, dataset: LazySource, folder: Path, limit: int, workers: int = 2
    ) -> None:
        """For a cache whose folder holds everything but frames.

        Args:
            dataset: Whose frames they are.
            folder: The cache's.
            limit: Bytes of the slots, at most.
            workers: Threads that decode.

        Raises:
            DatasetError: The limit is less than one chunk takes.
        """
        spec = dataset.spec
        self._dataset, self._workers, self._lock = dataset, workers, Lock()
        self._chunks = Chunks.of(np.load(folder / "offsets.npy"), KEPT)
        shape = (KEPT, spec.height, spec.width, 3)
        count = min(limit // int(np.prod(shape)), len(self._chunks))
        if count < 1:
            raise DatasetError(
                f"the limit of decoded frames must be at least {np.prod(shape)} bytes, "
                f"which {KEPT} frames of {dataset.path} take, got {limit}: give a "
                "greater cache_limit="
            )
        self._slots = unnamed_mapped(folder, (count, *shape))
        self._chunk_of = np.full(count, _NONE)  # each slot's
        self._slot_of = np.full(len(self._chunks), _NONE)  # each chunk's
        self._used = np.zeros(count, np.int64)  # when each slot was asked for last
        self._time = 0  # counts what was asked for

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all frames, (N, height, width, 3)."""
        return (int(self._chunks.begins[-1]), *self._slots.shape[2:])

    @property
    def dtype(self) -> np.dtype:
        """Of a pixel's channel: uint8."""
        return self._slots.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that are kept at most, of memory and of disk."""
        return self._slots.nbytes

    def __len__(self) -> int:
        """Number of frames, N."""
        return self.shape[0]

    def __getitem__(self, rows: int | np.integer | slice | np.ndarray) -> np.ndarray:
        """Gives the frames of rows, (..., height, width, 3), decoding what is missing.

        Raises:
            DatasetError: Their pictures are damaged.
        """
        asked = rows_asked(rows, len(self))
        found = np.empty((asked.size, *self.shape[1:]), np.uint8)
        flat = asked.reshape(-1)
        holding = self._chunks.of_rows(flat)
        steps = flat - self._chunks.begins[holding]
        wanted = np.unique(holding)
        with self._lock:
            for first in range(0, len(wanted), len(self._slots)):
                some = wanted[first : first + len(self._slots)]
                self._hold(some)
                here = np.flatnonzero(np.isin(holding, some))
                found[here] = self._slots[self._slot_of[holding[here]], steps[here]]
        return found.reshape(*asked.shape, *self.shape[1:])

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """All frames, in memory; what numpy asks for."""
        return np.array(self[:], dtype=dtype, copy=copy)

    def _hold(self, chunks: np.ndarray) -> None:
        """Sees to it that chunks, as many as there are slots at most, have one."""
        self._time += 1
        slots = self._slot_of[chunks]
        self._used[slots[slots != _NONE]] = self._time
        missing = chunks[slots == _NONE]
        if not len(missing):
            return
        free = np.argsort(self._used, kind="stable")[: len(missing)]
        dropped = self._chunk_of[free]
        self._slot_of[dropped[dropped != _NONE]] = _NONE
        self._chunk_of[free] = _NONE  # until all are decoded: one may be damaged
        place = dict(zip(missing.tolist(), free.tolist(), strict=True))

        def fill(run: np.ndarray) -> None:
            frames = pictures_of(self._dataset, self._chunks, run)
            first = self._chunks.begins[run[0]]
            for chunk in run.tolist():
                begin, end = self._chunks.begins[chunk : chunk + 2] - first
                self._slots[place[chunk], : end - begin] = frames[begin:end]

        in_threads(self._workers, fill, self._chunks.runs(missing))
        self._chunk_of[free], self._slot_of[missing] = missing, free
        self._used[free] = self._time

"""Frames on disk that are decoded when somebody first asks for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike

from worldmodel.data.episode import Episode
from worldmodel.data.source import EpisodeSource
from worldmodel.files.atomic import new_file
from worldmodel.files.lock import FileLock

FRAMES = "frames.npy"
DECODED = "decoded.npy"  # beside frames.npy: whether each chunk is there
CHUNK = 32  # frames of an episode that are decoded together
_RUN = 16  # chunks that one thread decodes one after the other
_SAVE_EVERY = 10.0  # seconds [s]


@runtime_checkable
class LazySource(EpisodeSource, Protocol):
    """Episodes whose pictures can be read in parts, and all else without them."""

    def numbers_of(self, index: int) -> Episode:
        """Gives an episode with frames of no size, (T, 0, 0, 3)."""
        ...

    def pictures(self, index: int, begin: int, count: int) -> np.ndarray:
        """Gives some frames of an episode, uint8 (count, height, width, 3)."""
        ...


@dataclass(frozen=True, eq=False)
class Chunks:
    """Which rows are decoded together; none lie in two episodes.

    Attributes:
        episodes: Place of each chunk's episode, int64 (C,).
        begins: First row of each, and at last N, int64 (C + 1,).
        offsets: Row where each episode begins, and at last N, int64 (E + 1,).
    """

    episodes: np.ndarray
    begins: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, offsets: np.ndarray, size: int = CHUNK) -> Chunks:
        """The chunks, of so many rows, of episodes that begin at these rows."""
        spans = list(pairwise(offsets))
        begins = [np.arange(first, end, size) for first, end in spans]
        places = np.repeat(np.arange(len(spans)), [len(some) for some in begins])
        return cls(places, np.concatenate([*begins, offsets[-1:]]), offsets)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.episodes)

    def holding(self, rows: np.ndarray) -> np.ndarray:
        """The chunks that hold some rows, each once, ascending."""
        return np.unique(self.of_rows(rows))

    def of_rows(self, rows: np.ndarray) -> np.ndarray:
        """The chunk that holds each of some rows (n,)."""
        return np.searchsorted(self.begins, rows, side="right") - 1

    def runs(self, chunks: np.ndarray) -> Iterator[np.ndarray]:
        """Groups ascending chunks that follow one another in an episode."""
        breaks = np.diff(chunks) != 1
        breaks |= np.diff(self.episodes[chunks]) != 0
        for run in np.split(chunks, np.flatnonzero(breaks) + 1):
            yield from (run[first : first + _RUN] for first in range(0, len(run), _RUN))


class LazyFrames:
    """All frames of a dataset, uint8 (N, height, width, 3), for indexing by rows.

    A chunk that is asked for the first time is decoded into the file of a cache. What
    has been decoded is noted there now and then, after the frames themselves are on the
    disk: what a killed process decoded last is decoded again. `numpy.asarray` decodes
    all that is missing. Callable from several threads.
    """

    def __init__(self, dataset: LazySource, folder: Path, workers: int = 2) -> None:
        """For a cache that `lay_out` made.

        Args:
            dataset: Whose frames they are.
            folder: The cache's.
            workers: Threads that decode.
        """
        self._dataset, self._folder, self._workers = dataset, folder, workers
        self._array: np.ndarray = np.load(folder / FRAMES, mmap_mode="r+")
        self._place = _place_of(folder / FRAMES)
        self._decoded: np.ndarray = np.load(folder / DECODED)
        self._chunks = Chunks.of(np.load(folder / "offsets.npy"))
        self._lock, self._saved = Lock(), time.monotonic()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all frames, (N, height, width, 3)."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """Of a pixel's channel: uint8."""
        return self._array.dtype

    def __len__(self) -> int:
        """Number of frames, N."""
        return len(self._array)

    def __getitem__(self, rows: int | np.integer | slice | np.ndarray) -> np.ndarray:
        """Gives the frames of rows, (..., height, width, 3), decoding what is missing.

        Raises:
            DatasetError: Their pictures are damaged.
        """
        asked = rows_asked(rows, len(self))
        self._decode(self._chunks.holding(asked.reshape(-1)))
        found = self._array[rows]
        return found if isinstance(rows, np.ndarray) else _read_only(found)

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """All frames; what numpy asks for."""
        self._decode(np.arange(len(self._chunks)))
        return np.array(_read_only(self._array), dtype=dtype, copy=copy)

    def save(self) -> None:
        """Notes on the disk what has been decoded."""
        with self._lock:
            self._save()

    def _decode(self, chunks: np.ndarray) -> None:
        if self._decoded[chunks].all():
            return
        with self._lock:
            missing = chunks[~self._decoded[chunks]]
            if not len(missing):
                return
            in_threads(self._workers, self._fill, self._chunks.runs(missing))
            if self._decoded.all() or time.monotonic() - self._saved > _SAVE_EVERY:
                self._save()

    def _fill(self, run: np.ndarray) -> None:
        """Decodes chunks that follow one another in an episode."""
        first, end = self._chunks.begins[[run[0], run[-1] + 1]]
        self._array[first:end] = pictures_of(self._dataset, self._chunks, run)
        self._decoded[run] = True

    def _save(self) -> None:
        assert isinstance(self._array, np.memmap)
        self._array.flush()
        file = self._folder / DECODED
        with FileLock(self._folder.with_name(f"{self._folder.name}.lock"), wait=True):
            if _place_of(self._folder / FRAMES) != self._place:
                return  # another cache has taken its place
            self._decoded |= np.load(file)  # by another process
            with new_file(file) as staging, staging.open("wb") as opened:
                np.save(opened, self._decoded)
        self._saved = time.monotonic()


def rows_asked(rows: int | np.integer | slice | np.ndarray, count: int) -> np.ndarray:
    """Gives the rows that an index of so many names, int64 (...) in [0, count).

    Raises:
        IndexError: There are no such rows, or they are no whole numbers.
    """
    if not isinstance(rows, np.ndarray):
        return np.asarray(range(count)[rows], np.int64)
    if rows.dtype.kind not in "iu" or ((rows < -count) | (rows >= count)).any():
        raise IndexError(f"rows must be whole numbers in [{-count}, {count})")
    return np.where(rows < 0, rows + count, rows)


def pictures_of(dataset: LazySource, chunks: Chunks, run: np.ndarray) -> np.ndarray:
    """Decodes chunks that follow one another in an episode, uint8 (n, h, w, 3)."""
    first, end = chunks.begins[[run[0], run[-1] + 1]].tolist()
    place = int(chunks.episodes[run[0]])
    begin = first - int(chunks.offsets[place])
    return dataset.pictures(dataset.indices[place], begin, end - first)


def in_threads(
    workers: int, fill: Callable[[np.ndarray], None], runs: Iterable[np.ndarray]
) -> None:
    """Calls a function with each run of chunks, in some threads."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            list(pool.map(fill, runs))
        finally:  # after an error, do not decode the rest before saying so
            pool.shutdown(wait=True, cancel_futures=True)


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _place_of(file: Path) -> tuple[int, int] | None:
    """What tells a file from another of the same name; None where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino

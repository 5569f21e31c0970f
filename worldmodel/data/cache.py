"""Decoded frames of a dataset in memory-mapped files beside it.

The cache can be deleted at any time; the next `FrameCache.open` makes it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from worldmodel.data import layout
from worldmodel.data.cache_space import ARRAYS, check_space, is_beyond, row_shapes
from worldmodel.data.errors import DatasetError
from worldmodel.data.lazy_frames import DECODED, Chunks, LazyFrames, LazySource
from worldmodel.data.limited_frames import LimitedFrames
from worldmodel.data.mapped import new_mapped
from worldmodel.data.source import EpisodeSource
from worldmodel.data.spec import DatasetSpec
from worldmodel.files.atomic import new_folder, remove_leftovers_of, surviving_folder
from worldmodel.files.lock import FileLock
from worldmodel.hardware import usable_cores

_FORMAT_VERSION = 1
_HEADER = "cache.json"

Frames = np.ndarray | LazyFrames | LimitedFrames


@dataclass(frozen=True, eq=False)
class FrameCache:
    """All rows of a dataset, decoded, one episode after the other.

    Attributes:
        path: The cache's folder.
        spec: What the episodes have in common.
        fingerprint: Of the dataset.
        frames: uint8 (N, height, width, 3), mapped from disk, or decoded when they are
            first asked for.
        actions: float32 (N, A).
        proprio: float32 (N, S).
        sim_state: float64 (N, n).
        episodes: Index of each episode in the dataset, int64 (E,).
        offsets: Row where each episode begins, and at last N; int64 (E + 1,).
    """

    path: Path
    spec: DatasetSpec
    fingerprint: str
    frames: Frames
    actions: np.ndarray
    proprio: np.ndarray
    sim_state: np.ndarray
    episodes: np.ndarray
    offsets: np.ndarray

    @classmethod
    def open(
        cls,
        dataset: EpisodeSource,
        path: Path | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        limit: int | None = None,
    ) -> FrameCache:
        """Opens the cache of a dataset, making it first where missing or out of date.

        Frames of a dataset of others are decoded when they are first asked for.
        Processes that ask at the same time wait for the one that makes it.

        Args:
            dataset: The dataset.
            path: The cache's folder; by default one in `.cache` in the dataset's.
            workers: Threads that decode; by default one for each core.
            progress: Called with (episodes done, episodes in all) while frames are
                decoded here.
            limit: Bytes of frames of a dataset of others that are kept at most, see
                `LimitedFrames`; None for all.

        Raises:
            DatasetError: The dataset or the cache is damaged, the disk too full, or the
                limit too small.
            OSError: The cache's folder cannot be written.
        """
        folder = path or dataset.path / layout.CACHE / dataset.cache_name
        fingerprint, workers = dataset.fingerprint(), workers or usable_cores()
        _read_first(dataset)  # so that sizes are what info.json says
        if limit is not None and is_beyond(limit, dataset):
            folder = folder.with_name(f"{folder.name}-limited")
        else:
            limit = None
        with FileLock(folder.with_name(f"{folder.name}.lock"), wait=True):
            remove_leftovers_of(folder)
            found = surviving_folder(folder)
            is_stale = _fingerprint_of(found) != fingerprint
            if is_stale or limit is not None:
                check_space(dataset, folder, limit)
            if is_stale:
                with new_folder(folder) as staging:
                    _make(dataset, staging, workers, progress, limit is not None)
                    _write_header(staging, fingerprint)
                found = folder
            frames = _frames(found, dataset, workers, limit)
            return _load(found, dataset, fingerprint, frames)

    @property
    def lengths(self) -> np.ndarray:
        """Number of rows of each episode, int64 (E,)."""
        return np.diff(self.offsets)

    def frames_at(self, rows: torch.Tensor) -> torch.Tensor:
        """Gives the frames of rows (...,) as uint8 (..., height, width, 3)."""
        flat = rows.reshape(-1).numpy()
        if flat.size and not 0 <= flat.min() <= flat.max() < len(self.frames):
            raise DatasetError(
                f"rows must be in [0, {len(self.frames)}), "
                f"got {flat.min()} to {flat.max()}"
            )
        picked = torch.from_numpy(self.frames[flat])
        return picked.reshape(*rows.shape, *self.frames.shape[1:])


def _read_first(dataset: EpisodeSource) -> None:
    first = dataset.indices[0]
    if isinstance(dataset, LazySource):
        dataset.pictures(first, 0, 1)
    else:
        dataset.episode(first)


def _make(
    dataset: EpisodeSource,
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None] | None,
    without_frames: bool,
) -> None:
    lengths = [record.length for record in dataset.records]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    np.save(folder / "offsets.npy", offsets.astype(np.int64))
    np.save(folder / "episodes.npy", np.array(dataset.indices, np.int64))
    arrays = {
        name: new_mapped(folder / f"{name}.npy", kind, (int(offsets[-1]), *shape))
        for (name, kind), shape in zip(
            ARRAYS.items(), row_shapes(dataset.spec), strict=True
        )
        if name != "frames" or not without_frames
    }
    read = dataset.episode
    if isinstance(dataset, LazySource):
        np.save(folder / DECODED, np.zeros(len(Chunks.of(offsets)), bool))
        arrays.pop("frames", None)  # stay zeros until somebody asks for them
        read, progress = dataset.numbers_of, None

    def fill(place: int) -> None:
        rows = slice(offsets[place], offsets[place + 1])
        episode = read(dataset.indices[place])
        for name, values in arrays.items():
            values[rows] = getattr(episode, name)

    with ThreadPoolExecutor(workers) as pool:
        try:
            for done, _ in enumerate(pool.map(fill, range(len(dataset))), start=1):
                if progress is not None:
                    progress(done, len(dataset))
        finally:  # after an error, do not decode the rest before saying so
            pool.shutdown(wait=False, cancel_futures=True)
    for values in arrays.values():
        values.flush()


def _load(
    folder: Path, dataset: EpisodeSource, fingerprint: str, frames: Frames
) -> FrameCache:
    cache = FrameCache(
        path=folder,
        spec=dataset.spec,
        fingerprint=fingerprint,
        frames=frames,
        actions=_array(folder / "actions.npy"),
        proprio=_array(folder / "proprio.npy"),
        sim_state=_array(folder / "sim_state.npy", mapped=True),
        episodes=_array(folder / "episodes.npy"),
        offsets=_array(folder / "offsets.npy"),
    )
    _check_arrays(cache, dataset)
    return cache


def _frames(
    folder: Path, dataset: EpisodeSource, workers: int, limit: int | None
) -> Frames:
    """All frames; those that are not decoded yet are when they are asked for."""
    if limit is not None:
        assert isinstance(dataset, LazySource), "others are refused a limit"
        return LimitedFrames(dataset, folder, limit, workers)
    decoded = folder / DECODED
    if not decoded.is_file() or _array(decoded).all():
        return _array(folder / "frames.npy", mapped=True)
    assert isinstance(dataset, LazySource), "only such caches begin without frames"
    return LazyFrames(dataset, folder, workers)


def _array(file: Path, mapped: bool = False) -> np.ndarray:
    try:
        return np.load(file, mmap_mode="r" if mapped else None)
    except (ValueError, EOFError) as error:
        raise _damaged(file.parent, f"{file.name}: {error}") from error


def _check_arrays(cache: FrameCache, dataset: EpisodeSource) -> None:
    """Raises unless a cache's arrays are those of the dataset's episodes."""
    lengths = [record.length for record in dataset.records]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if not np.array_equal(cache.offsets, offsets):
        raise _damaged(cache.path, "offsets.npy are not those of the episodes")
    if not np.array_equal(cache.episodes, np.array(dataset.indices)):
        raise _damaged(cache.path, "episodes.npy are not those of the dataset")
    shapes = zip(ARRAYS.items(), row_shapes(dataset.spec), strict=True)
    for (name, kind), shape in shapes:
        found: np.ndarray = getattr(cache, name)
        wanted = (int(offsets[-1]), *shape)
        if found.shape != wanted or found.dtype != np.dtype(kind):
            raise _damaged(
                cache.path,
                f"{name}.npy must be {np.dtype(kind)} {wanted}, got {found.dtype} "
                f"{found.shape}",
            )


def _damaged(folder: Path, why: str) -> DatasetError:
    return DatasetError(
        f"the cache {folder} is damaged ({why}): delete it, the next run makes it anew"
    )


def _fingerprint_of(folder: Path) -> str | None:
    """Gives the fingerprint of the dataset that a cache is of; None if it is torn."""
    try:
        header = json.loads((folder / _HEADER).read_text())
        sizes = {name: (folder / name).stat().st_size for name in header["sizes"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if header.get("version") != _FORMAT_VERSION or sizes != header["sizes"]:
        return None
    return header["fingerprint"]


def _write_header(folder: Path, fingerprint: str) -> None:
    sizes = {file.name: file.stat().st_size for file in sorted(folder.glob("*.npy"))}
    header = {"version": _FORMAT_VERSION, "fingerprint": fingerprint, "sizes": sizes}
    (folder / _HEADER).write_text(json.dumps(header, indent=4))


def episode_rows(cache: FrameCache, episode: int) -> slice:
    """Gives the rows of the cache that hold the episode of that index.

    Raises:
        DatasetError: The dataset has no such episode.
    """
    (found,) = np.nonzero(cache.episodes == episode)
    if found.size == 0:
        raise DatasetError(f"{cache.path} has no episode {episode}")
    return slice(int(cache.offsets[found[0]]), int(cache.offsets[found[0] + 1]))

"""A decoded dataset cut to its first episodes, without decoding anything anew."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike

from worldmodel.data.cache import FrameCache, Frames
from worldmodel.data.errors import DatasetError
from worldmodel.data.lazy_frames import rows_asked
from worldmodel.data.splits import SplitRule


@dataclass(frozen=True, eq=False)
class FirstFrames:
    """The first rows of all frames, uint8 (N, height, width, 3), for indexing by rows.

    Attributes:
        frames: All.
        count: How many rows are there, N.
    """

    frames: Frames
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of these, (N, height, width, 3)."""
        return (self.count, *self.frames.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """Of a pixel's channel: uint8."""
        return self.frames.dtype

    def __len__(self) -> int:
        """Number of frames, N."""
        return self.count

    def __getitem__(self, rows: int | np.integer | slice | np.ndarray) -> np.ndarray:
        """Gives the frames of rows, (..., height, width, 3).

        Raises:
            IndexError: There are no such rows.
        """
        if isinstance(rows, slice):
            first, end, step = rows.indices(self.count)
            if step > 0:
                return self.frames[first : max(first, end) : step]
        return self.frames[rows_asked(rows, self.count)]

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """All of these; what numpy asks for."""
        return np.array(self.frames[: self.count], dtype=dtype, copy=copy)


def first_episodes(cache: FrameCache, count: int) -> FrameCache:
    """Gives a cache that ends with its `count`-th episode for training.

    Episodes of the other splits between them stay, and so do statistics that were made
    of the whole dataset, as those that actions are normalised by.

    Raises:
        DatasetError: There are not so many episodes for training.
    """
    places = np.flatnonzero(SplitRule().holds("train", cache.episodes))
    if not 1 <= count <= len(places):
        raise DatasetError(
            f"episodes must be in [1, {len(places)}], those of {cache.path} that are "
            f"for training, got {count}"
        )
    kept = int(places[count - 1]) + 1
    rows = int(cache.offsets[kept])
    told = f"{cache.fingerprint} {count}"
    return replace(
        cache,
        fingerprint=hashlib.sha256(told.encode()).hexdigest(),
        frames=FirstFrames(cache.frames, rows),
        actions=cache.actions[:rows],
        proprio=cache.proprio[:rows],
        sim_state=cache.sim_state[:rows],
        episodes=cache.episodes[:kept],
        offsets=cache.offsets[: kept + 1],
    )

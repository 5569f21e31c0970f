"""Goals from a dataset: the frame some steps later in a held-out episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, cast

import numpy as np

from worldmodel.data import FrameCache, SplitRule
from worldmodel.data.splits import Split, check_split
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.protocol import SPLIT_SEEDS


@dataclass(frozen=True, eq=False)
class RecordedGoals:
    """Recorded moments to start from, and what followed them.

    Attributes:
        frames: The decoded dataset.
        states: The env's state (n,) at a row of it; raises ValueError where it cannot
            be told.
        ahead: Frames from a start to its goal.
    """

    frames: FrameCache
    states: Callable[[int], np.ndarray]
    ahead: int

    def __post_init__(self) -> None:
        if self.ahead < 1:
            raise WorldModelError(f"ahead must be at least 1 frame, got {self.ahead}")

    @classmethod
    def of_states(cls, frames: FrameCache, states: np.ndarray, ahead: int) -> Self:
        """For states (N, n) that were recorded with the frames."""
        rows = len(frames.frames)
        if states.ndim != 2 or len(states) != rows:
            raise WorldModelError(
                f"states must be (N={rows}, n), one for each frame, got {states.shape}"
            )
        return cls(frames, lambda row: np.asarray(states[row], np.float64), ahead)

    def starts(self, split: str) -> np.ndarray:
        """Gives the rows of all starts in the episodes of a split, int64 (M,).

        In an order that looks like chance and is the same at every call, so that the
        first problems of many are those of few. The goal of a start is `ahead` rows on.

        Raises:
            WorldModelError: No episode of that split is long enough.
        """
        cache = self.frames
        check_split(split)
        chosen = np.flatnonzero(SplitRule().holds(cast(Split, split), cache.episodes))
        firsts, lengths = cache.offsets[:-1][chosen], cache.lengths[chosen]
        rows = [
            np.arange(first, first + length - self.ahead)
            for first, length in zip(firsts, lengths, strict=True)
            if length > self.ahead
        ]
        if not rows:
            longest = int(lengths.max()) if len(lengths) else 0
            raise WorldModelError(
                f"the {split} split of {cache.path} has {len(chosen)} episodes, the "
                f"longest of {longest} frames: none has a goal ahead={self.ahead} "
                "frames later; take another split, less ahead, or more episodes"
            )
        found = np.concatenate(rows)
        return np.random.default_rng(SPLIT_SEEDS[split].start).permutation(found)

    def told(self, row: int) -> np.ndarray:
        """Gives the state (n,) at a row, (0,) where it cannot be told."""
        try:
            return self.states(row)
        except ValueError:
            return np.zeros(0)

    def picture(self, row: int) -> np.ndarray:
        """Gives a recorded frame uint8 (height, width, 3)."""
        return np.array(self.frames.frames[row])

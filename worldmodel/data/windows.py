"""Windows of consecutive model steps, cut from the episodes of one split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from worldmodel.data.cache import FrameCache
from worldmodel.data.errors import DatasetError
from worldmodel.data.splits import Split, SplitRule, check_split


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """B windows of T frames with the actions taken at them.

    Attributes:
        frames: uint8 (B, T, height, width, 3).
        actions: float32 (B, T, A); with a stride, A is stride x the env's, the actions
            from one frame to the next side by side in the order of time.
        proprio: float32 (B, T, S).
        sim_state: float64 (B, T, n).
        episode: Index of each window's episode, int64 (B,).
        start: Control step of its first frame in the episode, int64 (B,).
    """

    frames: torch.Tensor
    actions: torch.Tensor
    proprio: torch.Tensor
    sim_state: torch.Tensor
    episode: torch.Tensor
    start: torch.Tensor


class Windows:
    """All windows of a length in the episodes of a split; none crosses two episodes.

    Windows are numbered from 0, episode after episode, start after start.
    """

    def __init__(
        self,
        cache: FrameCache,
        split: Split,
        length: int,
        stride: int = 1,
        rule: SplitRule | None = None,
    ) -> None:
        """Lists the windows.

        Args:
            cache: The decoded dataset.
            split: Which episodes: "train", "validation" or "test".
            length: Frames in a window, T.
            stride: Control steps from one frame of a window to the next.
            rule: Which episodes are in which split.

        Raises:
            DatasetError: The split is unknown, or holds no window of that length.
        """
        check_split(split)
        for name, value in (("length", length), ("stride", stride)):
            if value < 1:
                raise DatasetError(f"{name} must be at least 1, got {value}")
        self.cache, self.split, self.length, self.stride = cache, split, length, stride
        rule = rule or SplitRule()
        chosen = np.flatnonzero(rule.holds(split, cache.episodes))
        lengths = cache.lengths[chosen]
        counts = np.maximum(lengths - length * stride + 1, 0)  # windows per episode
        if counts.sum() == 0:
            raise DatasetError(_why_empty(self, lengths))
        self._places = torch.from_numpy(chosen)
        self._ends = torch.from_numpy(np.cumsum(counts))
        self._firsts = self._ends - torch.from_numpy(counts)

    def __len__(self) -> int:
        """Number of windows."""
        return int(self._ends[-1])

    @property
    def episodes(self) -> tuple[int, ...]:
        """Indices of the split's episodes."""
        return tuple(int(i) for i in self.cache.episodes[self._places.numpy()])

    def sample(self, batch: int, generator: torch.Generator) -> WindowBatch:
        """Gives windows drawn with replacement, each of all windows equally likely.

        Args:
            batch: How many, B.
            generator: A generator on the CPU.
        """
        return self.at(self.draw(batch, generator))

    def draw(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Gives the window numbers (batch,) of `sample`."""
        return torch.randint(len(self), (batch,), generator=generator)

    def draw_pairs(self, pairs: int, generator: torch.Generator) -> torch.Tensor:
        """Gives window numbers (2 pairs,): 2i and 2i + 1 are of one episode.

        The first of a pair is drawn from all windows, the second from those of its
        episode.

        Args:
            pairs: How many pairs.
            generator: A generator on the CPU.
        """
        first = torch.randint(len(self), (pairs,), generator=generator)
        slot = torch.searchsorted(self._ends, first, right=True)
        low, high = self._firsts[slot], self._ends[slot]
        share = torch.rand(pairs, generator=generator, dtype=torch.float64)
        second = low + (share * (high - low)).long()
        return torch.stack((first, second), dim=1).flatten()

    def rows_at(
        self, numbers: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Gives rows of the cache int64 (B, T), actions (B, T, A), episodes (B,)."""
        rows, place, _ = self._rows(numbers)
        episodes = torch.from_numpy(self.cache.episodes)[place]
        return rows[:, :: self.stride], self._actions(rows), episodes

    def at(self, numbers: torch.Tensor) -> WindowBatch:
        """Gives the windows of these numbers, int64 (B,) in [0, len)."""
        if numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < len(
            self
        ):
            raise DatasetError(
                f"window numbers must be in [0, {len(self)}), "
                f"got {int(numbers.min())} to {int(numbers.max())}"
            )
        rows, place, start = self._rows(numbers)
        seen = rows[:, :: self.stride]  # (B, T)
        return WindowBatch(
            frames=self.cache.frames_at(seen),
            actions=self._actions(rows),
            proprio=torch.from_numpy(self.cache.proprio)[seen],
            sim_state=torch.from_numpy(self.cache.sim_state[seen.numpy()]),
            episode=torch.from_numpy(self.cache.episodes)[place],
            start=start,
        )

    def _rows(
        self, numbers: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Gives rows (B, T * stride), places of episodes (B,) and start steps (B,)."""
        slot = torch.searchsorted(self._ends, numbers, right=True)
        start = numbers - self._firsts[slot]
        place = self._places[slot]
        steps = torch.arange(self.length * self.stride)
        first = torch.from_numpy(self.cache.offsets)[place] + start
        return first[:, None] + steps, place, start

    def _actions(self, rows: torch.Tensor) -> torch.Tensor:
        """Gives actions (B, T, A) of rows (B, T * stride)."""
        actions = torch.from_numpy(self.cache.actions)[rows]
        return actions.reshape(len(rows), self.length, -1)

    def spread(self, count: int) -> torch.Tensor:
        """Gives the numbers of `count` windows spread evenly, always the same ones."""
        if not 1 <= count <= len(self):
            raise DatasetError(f"count must be in [1, {len(self)}], got {count}")
        return torch.arange(count) * len(self) // count

    def batches(self, batch: int, every: int = 1) -> Iterator[WindowBatch]:
        """Gives the windows in order, the last batch being smaller where needed.

        Args:
            batch: Windows in a batch, B.
            every: Start steps apart within an episode; `length * stride` leaves no row
                in two windows.
        """
        if min(batch, every) < 1:
            raise DatasetError(
                f"batch and every must be at least 1, got {batch} and {every}"
            )
        spans = zip(self._firsts.tolist(), self._ends.tolist(), strict=True)
        numbers = torch.cat([torch.arange(a, b, every) for a, b in spans])
        for some in numbers.split(batch):
            yield self.at(some)


def _why_empty(windows: Windows, lengths: np.ndarray) -> str:
    cache, split = windows.cache, windows.split
    if len(lengths) == 0:
        return (
            f"no episode of {cache.path} is in the split {split!r}: it has "
            f"{len(cache.episodes)} episodes in all, collect more"
        )
    return (
        f"no episode of the split {split!r} has the length={windows.length} x "
        f"stride={windows.stride} control steps of a window: the longest has "
        f"{lengths.max()}"
    )

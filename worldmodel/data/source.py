"""What a decoded cache asks of a dataset, whoever wrote it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Protocol

from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import DatasetSpec
from worldmodel.data.staging import EpisodeRecord


class EpisodeSource(Protocol):
    """Episodes that can be read one by one, in any order and from several threads."""

    @property
    def path(self) -> Path:
        """The dataset's folder."""
        ...

    @property
    def spec(self) -> DatasetSpec:
        """What the episodes have in common."""
        ...

    @property
    def records(self) -> tuple[EpisodeRecord, ...]:
        """What is known of each episode, in the order of the index."""
        ...

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices of the episodes, ascending."""
        ...

    @property
    def frames(self) -> int:
        """Number of frames of all episodes."""
        ...

    @property
    def cache_name(self) -> str:
        """Of the folder of decoded frames, beside those of other views of the same."""
        ...

    def __len__(self) -> int:
        """Number of episodes."""
        ...

    def record(self, index: int) -> EpisodeRecord:
        """Gives what is known of an episode without its frames."""
        ...

    def episode(self, index: int) -> Episode:
        """Reads and decodes an episode."""
        ...

    def fingerprint(self) -> str:
        """Gives a hash that another content, or another view of it, does not have."""
        ...


class EpisodeIndex:
    """Which episodes a dataset has; `path` and `records` are set by who reads it.

    Attributes:
        path: The dataset's folder.
        records: What is known of each episode, in the order of the index.
    """

    path: Path
    records: tuple[EpisodeRecord, ...]

    @functools.cached_property
    def _by_index(self) -> dict[int, EpisodeRecord]:
        return {record.index: record for record in self.records}

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.records)

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices of the episodes, ascending."""
        return tuple(record.index for record in self.records)

    @property
    def frames(self) -> int:
        """Number of frames of all episodes."""
        return sum(record.length for record in self.records)

    def record(self, index: int) -> EpisodeRecord:
        """Gives what is known of an episode without its frames.

        Raises:
            DatasetError: There is no episode of that index.
        """
        if index not in self._by_index:
            raise DatasetError(
                f"{self.path} has no episode {index}: it has {len(self)} of them, "
                f"from {self.records[0].index} to {self.records[-1].index}"
            )
        return self._by_index[index]

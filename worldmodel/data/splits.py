"""Which episodes are for training, which for validation, which for the test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from worldmodel.data.errors import DatasetError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class SplitRule:
    """In every block of consecutive episodes, so many for validation and for the test.

    Which of a block they are follows from a hash of the episode's index: an episode
    stays in its split however many are collected after it, and the shares are exact.

    Attributes:
        block: Episodes in a block.
        validation: Of these, for validation.
        test: Of these, for the test.
    """

    block: int = 20
    validation: int = 1
    test: int = 1

    def __post_init__(self) -> None:
        """Checks that something is left to train on."""
        if min(self.validation, self.test) < 0:
            raise DatasetError(
                "validation and test must be at least 0, got "
                f"{self.validation} and {self.test}"
            )
        if self.validation + self.test >= self.block:
            raise DatasetError(
                f"validation + test must be below block={self.block}, got "
                f"{self.validation} + {self.test}"
            )

    def split_of(self, episode: int) -> Split:
        """Gives the split of the episode with that index."""
        first = episode - episode % self.block
        order = sorted(range(first, first + self.block), key=_shuffle_key)
        rank = order.index(episode)
        if rank < self.validation:
            return "validation"
        return "test" if rank < self.validation + self.test else "train"

    def holds(self, split: Split, episodes: np.ndarray) -> np.ndarray:
        """Tells which episode indices int64 (E,) are in a split, bool (E,)."""
        names = [self.split_of(int(episode)) for episode in episodes]
        return np.array([name == split for name in names], dtype=bool)


def check_split(split: str) -> None:
    """Checks the name of a split.

    Raises:
        DatasetError: It is unknown; the message lists the known ones.
    """
    if split not in SPLITS:
        raise DatasetError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")


def _shuffle_key(episode: int) -> bytes:
    return hashlib.blake2b(str(episode).encode(), digest_size=8).digest()

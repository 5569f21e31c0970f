"""Every n-th frame of a dataset of ours, with the actions between side by side."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.data.reader import LeRobotDataset
from worldmodel.data.source import EpisodeIndex


class StridedDataset(EpisodeIndex):
    """A dataset as a model sees it whose step is several control steps.

    What is left of an episode at its end, shorter than a step, is not seen.

    Attributes:
        path: The dataset's folder.
        spec: What its episodes have in common, with a block of `stride`.
        records: What is known of each episode that is long enough.
        cache_name: Of the folder of its decoded frames.
    """

    def __init__(self, dataset: LeRobotDataset, stride: int) -> None:
        """For a dataset and the control steps of a model step.

        Raises:
            DatasetError: No episode is as long as one step.
        """
        self._whole, self._stride = dataset, stride
        self.path = dataset.path
        actions = replace(dataset.spec.action_spec, block=stride)
        self.spec = replace(dataset.spec, action_spec=actions)
        self.cache_name = f"{dataset.cache_name}-every-{stride}"
        self.records = tuple(
            replace(record, length=record.length // stride)
            for record in dataset.records
            if record.length >= stride
        )
        if not self.records:
            raise DatasetError(
                f"{self.path}: no episode has the stride={stride} control steps of one "
                f"frame, the longest has {max(r.length for r in dataset.records)}"
            )

    def episode(self, index: int) -> Episode:
        """Reads and decodes an episode. Callable from several threads.

        Raises:
            DatasetError: There is no episode of that index, or its file is damaged.
        """
        count = self.record(index).length
        whole, seen = self._whole.episode(index), slice(0, count * self._stride)
        each = slice(0, seen.stop, self._stride)
        return replace(
            whole,
            frames=whole.frames[each],
            actions=whole.actions[seen].reshape(count, -1),
            proprio=whole.proprio[each],
            sim_state=whole.sim_state[each],
        )

    def fingerprint(self) -> str:
        """Gives a hash of the dataset's content and of the stride."""
        text = f"{self._whole.fingerprint()} every {self._stride}"
        return hashlib.sha256(text.encode()).hexdigest()

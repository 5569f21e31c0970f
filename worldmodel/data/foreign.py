"""Datasets that others recorded with LeRobot, read as they are."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.data.foreign_actions import (
    action_range,
    action_spec_of,
    require_same_actions,
)
from worldmodel.data.foreign_info import MEND, ForeignInfo, read_foreign_info
from worldmodel.data.foreign_pictures import Steps, ends_of, missing_videos
from worldmodel.data.foreign_records import (
    ForeignRecord,
    check_video_places,
    longer_videos,
    read_foreign_records,
    read_task_texts,
)
from worldmodel.data.foreign_rows import Numbers, check_times, rate_of, read_numbers
from worldmodel.data.panels import Panel, Panels, panel_sizes
from worldmodel.data.source import EpisodeIndex
from worldmodel.data.spec import ACTION_KEY, PROPRIO_KEY, DatasetSpec
from worldmodel.data.staging import EpisodeRecord
from worldmodel.data.view import View


class DamagedEpisodes(DatasetError):
    """Some episodes cannot be used.

    Attributes:
        problems: What is wrong, a line for each, with its episode.
    """

    def __init__(self, root: Path, problems: Sequence[str]) -> None:
        """For the episodes of a dataset's folder."""
        self.problems = tuple(problems)
        more = len(problems) - 1
        rest = f" (and {more} more, `worldmodel inspect data={root}` lists them)"
        super().__init__(f"{root}: {problems[0]}{rest if more else ''}: {MEND}")


class ForeignDataset(EpisodeIndex):
    """The episodes of a LeRobot v3 dataset that this package did not write.

    Opening reads all numbers (actions, `observation.state`, counters, times) and checks
    them; pictures are read with each episode. Other features are left alone.

    Attributes:
        path: The dataset's folder.
        info: What info.json says.
        cameras: Keys of the features whose pictures are used, from left to right.
        view: How it is looked at.
        spec: What its episodes have in common.
        records: What is known of each episode, in the order of the index; those too
            short for one frame of the view's stride are not among them.
        action_low: Least value of each action dimension, as recorded, (A,).
        action_high: Greatest value of each, (A,).
        cache_name: Of the folder of its decoded frames.
    """

    def __init__(
        self,
        info: ForeignInfo,
        panels: Panels,
        view: View,
        numbers: Mapping[int, Numbers],
        rate_hz: float,
    ) -> None:
        """For `open`, which has checked all of this."""
        self.path, self.info, self.view = info.root, info, view
        self.cameras, self._panels = panels.keys, panels
        self._numbers, records = numbers, panels.panels[0].records.values()
        self._rate_hz, texts = rate_hz, read_task_texts(info.root)
        actions = [n.actions for n in numbers.values()]
        self.action_low, self.action_high = action_range(actions)
        self.spec = self._spec()
        self.records = tuple(
            EpisodeRecord(r.index, r.length // view.stride, task, {}, "")
            for r in records
            for task in [_task(r, numbers[r.index], texts)]
            if r.length >= view.stride
        )
        if not self.records:
            raise DatasetError(
                f"{self.path}: no episode has the stride={view.stride} control steps "
                f"of one frame, the longest has {max(r.length for r in records)}"
            )

    @classmethod
    def open(cls, path: str | Path, view: View | None = None) -> ForeignDataset:
        """Opens a dataset, reading all but pictures.

        Args:
            path: Its folder.
            view: How it is looked at.

        Raises:
            DatasetError: It is missing, damaged, of another version of the format, or
                lacks what the view asks for.
        """
        view = view or View()
        info = read_foreign_info(Path(path))
        cameras = info.cameras(view.cameras)
        tracks = [read_foreign_records(info, camera) for camera in cameras]
        numbers, problems = read_numbers(info, tracks[0])
        rate_hz = rate_of(info, numbers)
        problems += check_times(numbers, rate_hz)
        for records in tracks:
            problems += check_video_places(records, rate_hz)
            problems += missing_videos(records)
        if problems:
            raise DamagedEpisodes(info.root, problems)
        for note in _notes(info, tracks, rate_hz):
            warnings.warn(note, stacklevel=2)
        panels = [
            Panel(camera, {record.index: record for record in records}, size)
            for camera, records, size in zip(
                cameras, tracks, panel_sizes(cameras, view), strict=True
            )
        ]
        return cls(info, Panels(panels, rate_hz), view, numbers, rate_hz)

    @property
    def cache_name(self) -> str:
        """Of the folder of decoded frames, beside those of other views."""
        camera = re.sub(r"[^\w.+-]", "_", "+".join(self.cameras))
        stride = f"-every-{self.view.stride}" if self.view.stride > 1 else ""
        return f"frames-{camera}-{self.spec.width}x{self.spec.height}{stride}"

    def episode(self, index: int) -> Episode:
        """Reads and decodes an episode. Callable from several threads.

        Raises:
            DatasetError: There is no episode of that index, or its pictures are
                damaged.
        """
        frames = self.pictures(index, 0, self.record(index).length)
        return replace(self.numbers_of(index), frames=frames)

    def pictures(self, index: int, begin: int, count: int) -> np.ndarray:
        """Reads some frames of an episode. Callable from several threads.

        Args:
            index: The episode's.
            begin: The first of them.
            count: How many, T.

        Returns:
            uint8 (T, height, width, 3).

        Raises:
            DatasetError: They are damaged.
        """
        stride = self.view.stride
        steps = Steps(count, stride, begin * stride)
        return self._panels.frames(index, self._numbers[index].first, steps)

    def numbers_of(self, index: int) -> Episode:
        """Gives an episode without its pictures: frames are (T, 0, 0, 3).

        Raises:
            DatasetError: There is no episode of that index.
        """
        record, numbers = self.record(index), self._numbers[index]
        stride = self.view.stride
        rows = record.length * stride
        actions = self.spec.action_spec.normalised(numbers.actions[:rows])
        return Episode(
            frames=np.zeros((record.length, 0, 0, 3), np.uint8),
            actions=_float32(actions).reshape(record.length, -1).clip(-1, 1),
            proprio=_float32(numbers.proprio[:rows:stride]),
            sim_state=np.zeros((record.length, 0)),
            task=record.task,
        )

    def numbers(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives actions (T, A) and proprio (T, S) of every control step, as recorded.

        Raises:
            DatasetError: There is no episode of that index.
        """
        self.record(index)
        return self._numbers[index].actions, self._numbers[index].proprio

    def fingerprint(self) -> str:
        """Gives a hash of the view, all numbers, and size and ends of picture files.

        The ends of a file hold the table of where everything else in it is.
        """
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        spec = self.spec
        camera = "+".join(self.cameras)
        view = [camera, spec.height, spec.width, spec.proprio_names]
        said = [*view, spec.action_spec.to_json()]
        hasher = hashlib.sha256(json.dumps(said).encode())
        for index, numbers in self._numbers.items():
            hasher.update(json.dumps([index, len(numbers.actions)]).encode())
            hasher.update(np.ascontiguousarray(numbers.actions).tobytes())
            hasher.update(np.ascontiguousarray(numbers.proprio).tobytes())
        for file in self._panels.files:
            hasher.update(ends_of(file))
        return hasher.hexdigest()

    def _spec(self) -> DatasetSpec:
        proprio = self.info.features.get(PROPRIO_KEY)
        ends = np.stack((self.action_low, self.action_high))
        names = self.info.features[ACTION_KEY].names
        stride, absolute = self.view.stride, self.view.absolute_actions
        own = action_spec_of(names, ends, self._rate_hz, stride, absolute)
        if self.view.actions is not None:
            require_same_actions(self.path, self.view.actions, own, ends)
        return DatasetSpec(
            height=self._panels.height,
            width=self._panels.width,
            proprio_names=() if proprio is None else proprio.names,
            sim_state_size=0,
            action_spec=self.view.actions or own,
            robot_type=self.info.robot_type,
            cameras=self.cameras,
        )


def _notes(
    info: ForeignInfo, tracks: Sequence[Sequence[ForeignRecord]], rate_hz: float
) -> list[str]:
    """Gives what is odd about a dataset that can be read."""
    notes: list[str] = []
    if rate_hz != info.rate_hz:
        notes.append(
            f"{info.file} says {info.rate_hz:g} frames/s, timestamps say {rate_hz:g}: "
            "these are used"
        )
    longer = sorted({i for some in tracks for i in longer_videos(some, rate_hz)})
    if longer:
        notes.append(
            f"{info.root}: {len(longer)} episodes, the first is {longer[0]}, have more "
            "frames in their videos than rows: the first of them are taken"
        )
    return notes


def _task(record: ForeignRecord, numbers: Numbers, texts: Mapping[int, str]) -> str:
    """Gives what an episode is for: as its record says, or the table of tasks."""
    if record.tasks:
        return record.tasks[0]
    return "" if numbers.task is None else texts.get(numbers.task, "")


def _float32(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)

"""Reading a dataset: every finished episode, also of a collection that was killed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from worldmodel.data import layout, table
from worldmodel.data.checks import check_records, check_rows, check_schema
from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.data.metadata import (
    REMEDY,
    read_info,
    read_records,
    read_tasks,
    warn_of_statistics,
)
from worldmodel.data.shard import (
    RECORD_COLUMNS,
    record_of,
    shard_number,
    statistics_columns,
    statistics_of,
)
from worldmodel.data.source import EpisodeIndex
from worldmodel.data.spec import (
    ACTION_KEY,
    PROPRIO_KEY,
    RECORDED_KEYS,
    SIM_STATE_KEY,
    DatasetSpec,
)
from worldmodel.data.staging import EpisodeRecord, read_staged_header
from worldmodel.data.statistics import Statistics, merge_all


@dataclass(frozen=True)
class _Place:
    """Where an episode's frames lie: a row group of a file."""

    file: Path
    row_group: int


class LeRobotDataset(EpisodeIndex):
    """The episodes of a dataset that `DatasetWriter` wrote, complete or not.

    Episodes have the index under which they were collected. While a collection runs, or
    after it was killed, an index can be missing where a later one was finished first.

    Attributes:
        path: The dataset's folder.
        spec: What its episodes have in common.
        records: What is known of each episode, in the order of the index.
        cache_name: Of the folder of its decoded frames.
    """

    cache_name = "frames"

    def __init__(
        self,
        path: Path,
        spec: DatasetSpec,
        episodes: dict[int, tuple[EpisodeRecord, _Place]],
        committed: int,
        tasks: dict[str, int],
    ) -> None:
        """For `open`; of the episodes by index, `committed` are in data files."""
        self.path, self.spec = path, spec
        self.records = tuple(record for record, _ in episodes.values())
        self._places = {index: place for index, (_, place) in episodes.items()}
        self._committed, self._tasks = committed, tasks

    @classmethod
    def open(cls, path: str | Path) -> LeRobotDataset:
        """Opens a dataset, reading no frames.

        Raises:
            DatasetError: It is missing, half-written, damaged, without any finished
                episode, or of a kind that cannot be read here.
        """
        if not str(path):
            raise DatasetError("a dataset is the path of a folder, got ''")
        root = Path(path)
        spec, info = read_info(root)
        committed = info["total_episodes"]
        rows = read_records(root, committed, RECORD_COLUMNS)
        with named(root, ""):
            check_records(rows, info["total_frames"])
        tasks = read_tasks(root, info["total_tasks"])
        if committed:
            warn_of_statistics(root, info["total_frames"])
        episodes: dict[int, tuple[EpisodeRecord, _Place]] = {}
        groups: dict[Path, list[EpisodeRecord]] = {}
        for row in rows:
            file = layout.data_file(root, shard_number(row))
            with named(root, ""):
                record = record_of(row)
            if record.task not in tasks:
                raise DatasetError(
                    f"{root}: episode {record.index} has the task {record.task!r}, "
                    f"which {layout.TASKS} does not list: {REMEDY}"
                )
            known = groups.setdefault(file, [])
            episodes[record.index] = (record, _Place(file, len(known)))
            known.append(record)
        for file, records in groups.items():
            _check_data_file(file, records, spec)
        for index, file in layout.staged_files(root).items():
            header = read_staged_header(file)
            if header is not None and index not in episodes:
                episodes[index] = (header[0], _Place(file, 0))
        if not episodes:
            raise DatasetError(
                f"{root} has no finished episode yet: run `worldmodel collect "
                f"out={root}` again with the same options, it continues"
            )
        return cls(root, spec, episodes, committed, tasks)

    def episode(self, index: int) -> Episode:
        """Reads and decodes an episode. Callable from several threads.

        Raises:
            DatasetError: There is no episode of that index, or its file is damaged.
        """
        record, place = self.record(index), self._places[index]
        try:
            columns = pq.ParquetFile(place.file).read_row_group(place.row_group)
            with named(place.file, f"episode {index}: "):
                task = self._tasks.get(record.task)
                check_rows(columns, record, self.spec, task)
            found = table.digest(columns)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DatasetError(
                f"episode {index} cannot be read from {place.file} ({error}): if the "
                "dataset was written to since it was opened, open it anew; "
                f"else {REMEDY}"
            ) from error
        if found != record.digest:
            raise DatasetError(
                f"episode {index} in {place.file} is not what was recorded: {REMEDY}"
            )
        with named(place.file, f"episode {index}: "):
            return Episode(
                frames=table.frames(columns, self.spec),
                actions=table.vectors(columns, ACTION_KEY, self.spec),
                proprio=table.vectors(columns, PROPRIO_KEY, self.spec),
                sim_state=table.vectors(columns, SIM_STATE_KEY, self.spec),
                task=record.task,
                notes=record.notes,
            )

    def statistics(self, indices: Iterable[int] | None = None) -> Statistics:
        """Gives mean, std, min, max and count by feature key, without reading frames.

        Args:
            indices: Over which episodes, such as those of one split; all by default.

        Raises:
            DatasetError: There is no episode of one of these indices.
        """
        wanted = self.indices if indices is None else sorted(set(indices))
        columns = ["episode_index", *statistics_columns(RECORDED_KEYS)]
        rows = read_records(self.path, self._committed, columns)
        parts = []
        for index in wanted:
            self.record(index)
            if index < self._committed:
                parts.append(statistics_of(rows[index], RECORDED_KEYS))
            else:
                parts.append(self._staged_statistics(index))
        return merge_all(parts)

    def fingerprint(self) -> str:
        """Gives a hash of the spec and of every episode's content, without reading it.

        It does not depend on how the episodes lie in files.
        """
        content = {
            "spec": self.spec.to_info(),
            "episodes": [[r.index, r.length, r.digest] for r in self.records],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _staged_statistics(self, index: int) -> Statistics:
        file = self._places[index].file
        header = read_staged_header(file)
        if header is None:
            raise DatasetError(
                f"{file} is gone: the dataset was written to since it was opened, "
                "open it anew"
            )
        return {key: header[1][key] for key in RECORDED_KEYS}


@contextmanager
def named(path: Path, what: str) -> Iterator[None]:
    """Adds the file, what in it, and the remedy to an error about content."""
    try:
        yield
    except DatasetError as error:
        raise DatasetError(f"{path}: {what}{error}: {REMEDY}") from error


def _check_data_file(
    path: Path, records: list[EpisodeRecord], spec: DatasetSpec
) -> None:
    """Checks columns, number and lengths of the episodes in a file; reads no frames."""
    try:
        metadata = pq.read_metadata(path)
    except FileNotFoundError as error:
        first = records[0].index
        raise DatasetError(
            f"{path}, which holds episode {first}, is missing: {REMEDY}"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(
            f"{path} is half-written or damaged ({error}): {REMEDY}"
        ) from error
    with named(path, ""):
        check_schema(metadata.schema.to_arrow_schema(), spec)
    found = metadata.num_row_groups
    if found < len(records):
        raise DatasetError(
            f"{path} holds {found} of its {len(records)} episodes: {REMEDY}"
        )
    for place, record in enumerate(records):
        count = metadata.row_group(place).num_rows
        if count != record.length:
            raise DatasetError(
                f"{path}: episode {record.index} must have length={record.length} "
                f"rows, got {count}: {REMEDY}"
            )

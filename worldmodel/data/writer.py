"""Writing a dataset so that a kill at any moment loses no finished episode.

An episode is durable once it is staged: a file of its own, whole or not there. The
writer then moves episodes, in the order of their index, into the data files: it
replaces the last data file by one with the new episodes appended, then the files under
`meta/`, `info.json` last, and only then deletes the staged files. After a kill between
two of these steps the dataset still opens, and the next writer takes the rest of them.
Where a data file ends depends on its episodes alone, so the bytes of a dataset do not
tell whether and where its collection was interrupted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from worldmodel.data import layout, statistics
from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.data.metadata import (
    read_info,
    read_records,
    write_info,
    write_statistics,
    write_tasks,
)
from worldmodel.data.shard import (
    RECORD_COLUMNS,
    Shard,
    last_shard,
    statistics_columns,
    statistics_of,
)
from worldmodel.data.spec import KEYS, SPEC_KEYS, DatasetSpec
from worldmodel.data.staging import read_staged_header, read_staged_table, stage_episode
from worldmodel.data.table import place, rows
from worldmodel.files.atomic import remove_leftovers
from worldmodel.files.lock import FileLock

_SHARD_BYTES = layout.SHARD_MB * 2**20
_OWN_ENTRIES = {"meta", "data", layout.STAGING, layout.LOCK, layout.CACHE}


class DatasetWriter:
    """The one writer of a dataset; makes it, or continues one that was interrupted.

    A context manager. In one process, `add` every index that `missing` names. With
    worker processes, those call `stage_episode` and the writer's process calls `commit`
    when one is done. After an `OSError`, such as a full disk, open a new writer.
    """

    def __init__(self, path: str | Path, spec: DatasetSpec) -> None:
        """Opens the dataset.

        Args:
            path: Its folder; made where missing.
            spec: What every episode has in common.

        Raises:
            DatasetError: The folder holds something else, a dataset of another spec, a
                damaged one, or one that another process is writing.
        """
        self._root, self._spec = Path(path), spec
        _check_folder(self._root)
        try:
            self._lock = FileLock(self._root / layout.LOCK, wait=False)
        except BlockingIOError as error:
            raise DatasetError(
                f"{self._root} is in use by another process, which writes to it: wait "
                "for it or stop it"
            ) from error
        with ExitStack() as undo:
            undo.callback(self._lock.release)
            self._resume()
            undo.pop_all()

    @property
    def episodes(self) -> int:
        """Number of episodes in the data files."""
        return self._episodes

    @property
    def frames(self) -> int:
        """Number of frames in the data files."""
        return self._frames

    def missing(self, total: int) -> list[int]:
        """Gives the indices below `total` of the episodes that are not finished yet."""
        staged = layout.staged_files(self._root)
        return [i for i in range(self._episodes, total) if i not in staged]

    def add(self, index: int, episode: Episode) -> None:
        """Makes a finished episode durable, and commits.

        Raises:
            DatasetError: The dataset has that episode, or its sizes are not the spec's.
        """
        if index < self._episodes or index in layout.staged_files(self._root):
            raise DatasetError(f"{self._root} already has episode {index}")
        stage_episode(self._root, self._spec, index, episode)
        self.commit()

    def commit(self) -> int:
        """Moves the staged episodes that are next in order into the data files.

        Returns:
            Number of episodes in the data files now.
        """
        staged = layout.staged_files(self._root)
        tasks = len(self._tasks)
        fresh: list[Path] = []
        while self._episodes in staged:
            fresh.append(staged[self._episodes])
            self._append(fresh[-1])
        if fresh:
            self._shard.write(self._root, self._spec)
            if len(self._tasks) > tasks:
                write_tasks(self._root, self._tasks)
            write_statistics(self._root, self._stats)
            self._write_info()
            for file in fresh:
                file.unlink()
        return self._episodes

    def close(self) -> None:
        """Commits, and lets other processes write."""
        self.commit()
        staging = self._root / layout.STAGING
        if staging.is_dir() and not any(staging.iterdir()):
            staging.rmdir()
        self._lock.release()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:  # what is staged waits for the next writer
            self._lock.release()

    def _resume(self) -> None:
        started = (self._root / layout.INFO).exists()
        self._episodes = _committed(self._root, self._spec) if started else 0
        columns = [*RECORD_COLUMNS, *statistics_columns(KEYS)]
        records = read_records(self._root, self._episodes, columns)
        self._frames = records[-1]["dataset_to_index"] if records else 0
        self._tasks = list(dict.fromkeys(row["tasks"][0] for row in records))
        self._stats = statistics.merge_all(statistics_of(row, KEYS) for row in records)
        self._shard = last_shard(self._root, records)
        self._remove_leftovers()
        if not started:
            self._write_info()

    def _append(self, file: Path) -> None:
        header = read_staged_header(file)
        assert header is not None, f"{file} was whole when it was staged"
        record, stats = header
        if record.task not in self._tasks:
            self._tasks.append(record.task)
        task_index = self._tasks.index(record.task)
        table = place(read_staged_table(file), self._frames, task_index)
        for key in ("index", "task_index"):
            stats[key] = statistics.of_rows(rows(table, key))
        if self._shard.is_full(table, _SHARD_BYTES):
            self._shard.write(self._root, self._spec)
            self._shard = Shard(self._shard.number + 1)
        self._shard.add(table, record, stats)
        self._stats = statistics.merge_all(
            [self._stats, stats] if self._stats else [stats]
        )
        self._episodes += 1
        self._frames += record.length

    def _write_info(self) -> None:
        write_info(
            self._root, self._spec, self._episodes, self._frames, len(self._tasks)
        )

    def _remove_leftovers(self) -> None:
        """Removes what a killed writer left and nobody will ask for."""
        for index, file in layout.staged_files(self._root).items():
            if index < self._episodes or read_staged_header(file) is None:
                file.unlink()
        remove_leftovers(self._root)
        for number in itertools.count(self._shard.number + 1):
            data = layout.data_file(self._root, number)
            if not data.exists():
                break
            layout.episodes_file(self._root, number).unlink(missing_ok=True)
            data.unlink()


def _check_folder(root: Path) -> None:
    if not root.exists() or (root / layout.INFO).exists():
        return
    if not root.is_dir():
        raise DatasetError(f"{root} must be a folder, it is a file: name another one")
    foreign = sorted({entry.name for entry in root.iterdir()} - _OWN_ENTRIES)
    if foreign:
        raise DatasetError(
            f"{root} is not a dataset and not empty (it has {foreign[0]!r}): "
            "name another folder"
        )


def _committed(root: Path, spec: DatasetSpec) -> int:
    """Gives the number of committed episodes of a dataset that must have that spec."""
    _, info = read_info(root)
    wanted = spec.to_info()
    found = {key: info[key] for key in SPEC_KEYS}
    differences = list(_differences(found, wanted, ""))
    if differences:
        raise DatasetError(
            f"{root} was collected with other options; use the same, or another "
            f"folder: {'; '.join(differences)}"
        )
    return info["total_episodes"]


def _differences(found: object, wanted: object, name: str) -> Iterator[str]:
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in dict.fromkeys([*found, *wanted]):
            inner = f"{name}.{key}" if name else str(key)
            yield from _differences(found.get(key), wanted.get(key), inner)
    elif found != wanted:
        yield f"{name}: it has {found!r}, now {wanted!r}"

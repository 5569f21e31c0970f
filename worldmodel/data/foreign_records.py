"""Where the episodes of any LeRobot v3 dataset lie in its files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldmodel.data import layout
from worldmodel.data.checks import check_records
from worldmodel.data.errors import DatasetError
from worldmodel.data.foreign_info import MEND, Feature, ForeignInfo
from worldmodel.files.json_file import short

_TASK_COLUMNS = ("task", "tasks", "__index_level_0__")  # as pandas may call an index
_RECORD = (
    "episode_index",
    "length",
    "data/chunk_index",
    "data/file_index",
    "dataset_from_index",
    "dataset_to_index",
)
_OFF = 0.5  # of a frame, what an episode's times in a video may contradict its length


@dataclass(frozen=True)
class VideoPlace:
    """Where an episode's pictures are in a video file.

    Attributes:
        file: The video file.
        start: When the first is shown, in the file's own time [s].
        end: When the last is over [s].
    """

    file: Path
    start: float
    end: float


@dataclass(frozen=True)
class ForeignRecord:
    """What is known of an episode without its rows.

    Attributes:
        index: Its number in the dataset.
        length: Its rows, one a frame.
        first: Its first row, among those of all episodes.
        data_file: Parquet file with its rows.
        tasks: What it is for, in words; may be empty.
        video: Where its pictures are; None where they are in the rows.
    """

    index: int
    length: int
    first: int
    data_file: Path
    tasks: tuple[str, ...]
    video: VideoPlace | None


def read_foreign_records(info: ForeignInfo, camera: Feature) -> list[ForeignRecord]:
    """Gives every episode's record, in the order of the index.

    Raises:
        DatasetError: A file is missing or damaged, or records contradict one another;
            the message names the episode.
    """
    if not info.episodes:
        raise DatasetError(f"{info.root} has no episode: record some")
    folder = info.root / layout.EPISODES
    files = sorted(folder.glob("**/*.parquet"))
    if not files:
        raise DatasetError(f"{folder} has no parquet file: {MEND}")
    keys = _video_keys(camera)
    rows: list[dict[str, Any]] = []
    for path in files:
        rows += plain_rows(path, read_columns(path, [*_RECORD, *keys], ["tasks"]))
    try:
        rows = _in_order(rows, info.episodes)
        check_records(rows, info.frames)
        return [_record(row, info, camera) for row in rows]
    except DatasetError as error:
        raise DatasetError(f"{folder}: {error}: {MEND}") from error


def check_video_places(records: Sequence[ForeignRecord], rate_hz: float) -> list[str]:
    """Gives what is wrong with the times of episodes in video files, [] for nothing.

    An episode takes at least its length / rate, and no two share a frame.
    """
    found: list[str] = []
    placed = [(record.video, record) for record in records if record.video is not None]
    for video, record in placed:
        if _frames_of(video, rate_hz) < record.length - _OFF:
            found.append(
                f"episode {record.index}: its length={record.length} frames take "
                f"{record.length / rate_hz:g} s at {rate_hz:g} frames/s, got "
                f"from_timestamp={video.start:g} and to_timestamp={video.end:g}"
            )
    placed.sort(key=lambda pair: (pair[0].file, pair[0].start))
    for (before, first), (after, second) in pairwise(placed):
        is_shared = before.file == after.file
        if is_shared and (before.end - after.start) * rate_hz > _OFF:
            found.append(
                f"episode {second.index}: from_timestamp={after.start:g} in "
                f"{after.file} must be at least {before.end:g}, where episode "
                f"{first.index} ends"
            )
    return found


def longer_videos(records: Sequence[ForeignRecord], rate_hz: float) -> list[int]:
    """Gives the episodes whose videos have more frames than there are rows."""
    return [
        record.index
        for record in records
        if record.video is not None
        and _frames_of(record.video, rate_hz) > record.length + _OFF
    ]


def read_task_texts(root: Path) -> dict[int, str]:
    """Gives each task's text by its index; {} where there is no table of tasks.

    Raises:
        DatasetError: The table is damaged.
    """
    path = root / layout.TASKS
    if not path.is_file():
        return {}
    table = read_columns(path, ["task_index"], list(_TASK_COLUMNS))
    texts = [name for name in _TASK_COLUMNS if name in table.column_names]
    if not texts:
        raise DatasetError(f"{path} must have a column task: {MEND}")
    rows = plain_rows(path, table)
    return {row["task_index"]: str(row[texts[0]]) for row in rows}


def read_columns(
    path: Path, needed: Sequence[str], wished: Sequence[str] = ()
) -> pa.Table:
    """Gives columns of a Parquet file.

    Args:
        path: The file.
        needed: Columns that it must have.
        wished: Columns that are read where it has them.

    Raises:
        DatasetError: It is missing, damaged, or lacks a column.
    """
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        missing = [name for name in needed if name not in names]
        if missing:
            raise DatasetError(
                f"{path} lacks the column {missing[0]}, it has "
                f"{short(names, 200)}: {MEND}"
            )
        return file.read([*needed, *(name for name in wished if name in names)])
    except FileNotFoundError as error:
        raise DatasetError(f"{path} is missing: {MEND}") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise DatasetError(
            f"{path} is half-written or damaged ({text}): {MEND}"
        ) from error


def plain_rows(path: Path, table: pa.Table) -> list[dict[str, Any]]:
    """Gives the rows of a file's table as plain values.

    Raises:
        DatasetError: A text in it is no UTF-8.
    """
    try:
        return table.to_pylist()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is damaged ({error}): {MEND}") from error


def _frames_of(video: VideoPlace, rate_hz: float) -> float:
    return (video.end - video.start) * rate_hz


def _video_keys(camera: Feature) -> list[str]:
    names = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
    return [f"videos/{camera.key}/{name}" for name in names] if camera.is_video else []


def _in_order(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Gives the rows of the episodes 0 to count - 1, one each."""
    by_index: dict[int, dict[str, Any]] = {}
    for row in rows:
        index = row["episode_index"]
        if not isinstance(index, int):
            raise DatasetError(f"episode_index must be a whole number, got {index!r}")
        if index in by_index:
            raise DatasetError(f"episode {index} is listed twice")
        by_index[index] = row
    missing = [index for index in range(count) if index not in by_index]
    if missing:
        raise DatasetError(
            f"episode {missing[0]} is missing, of the {count} that {layout.INFO} "
            f"counts in total_episodes"
        )
    if len(by_index) != count:
        raise DatasetError(
            f"total_episodes must be {len(by_index)}, the episodes listed, got {count}"
        )
    return [by_index[index] for index in range(count)]


def _record(
    row: Mapping[str, Any], info: ForeignInfo, camera: Feature
) -> ForeignRecord:
    tasks = row.get("tasks")
    texts = [tasks] if isinstance(tasks, str) else list(tasks or ())
    place = (row["data/chunk_index"], row["data/file_index"])
    return ForeignRecord(
        index=row["episode_index"],
        length=row["length"],
        first=row["dataset_from_index"],
        data_file=info.data_file(*place),
        tasks=tuple(str(text) for text in texts),
        video=_video_place(row, info, camera) if camera.is_video else None,
    )


def _video_place(
    row: Mapping[str, Any], info: ForeignInfo, camera: Feature
) -> VideoPlace:
    chunk, file, start, end = (row[key] for key in _video_keys(camera))
    name = f"episode {row['episode_index']}: videos/{camera.key}"
    for key, value in (("chunk_index", chunk), ("file_index", file)):
        if not isinstance(value, int) or value < 0:
            raise DatasetError(f"{name}/{key} must be a whole number, got {value!r}")
    for key, value in (("from_timestamp", start), ("to_timestamp", end)):
        if not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise DatasetError(
                f"{name}/{key} must be a finite number of seconds, got {value!r}"
            )
    return VideoPlace(info.video_file(camera.key, chunk, file), start, end)

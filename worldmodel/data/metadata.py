"""The files under `meta/`: read with checks, written whole."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldmodel.data import layout
from worldmodel.data.checks import check_statistics
from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import DatasetSpec
from worldmodel.data.statistics import Statistics
from worldmodel.data.table import write_parquet
from worldmodel.errors import WorldModelError
from worldmodel.files.atomic import new_file
from worldmodel.files.json_file import read_object, short
from worldmodel.files.plain import whole

_TASK_COLUMNS = ("task", "tasks", "__index_level_0__")  # as pandas may call an index
REMEDY = "restore it from a copy, or delete the dataset and collect it anew"


def write_info(
    root: Path, spec: DatasetSpec, episodes: int, frames: int, tasks: int
) -> None:
    """Writes `meta/info.json`, which makes the episodes part of the dataset."""
    info = {
        **spec.to_info(),
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": layout.FILES_PER_CHUNK,
        "data_files_size_in_mb": layout.SHARD_MB,
        "video_files_size_in_mb": 200,  # the format asks for it; there are none
        "splits": {"train": f"0:{episodes}"},
        "data_path": layout.DATA_PATH,
        "video_path": None,
    }
    _write_json(root / layout.INFO, info)


def read_info(root: Path) -> tuple[DatasetSpec, dict[str, Any]]:
    """Gives the spec and the whole content of `meta/info.json`.

    Raises:
        DatasetError: It is missing, damaged, or of a dataset that cannot be read here.
    """
    path = root / layout.INFO
    if not path.is_file():
        raise DatasetError(_missing(root))
    try:
        info = read_object(path)
    except WorldModelError as error:
        raise DatasetError(f"{error}: {REMEDY}") from error
    try:
        spec = DatasetSpec.from_info(info)
        for name in ("total_episodes", "total_frames", "total_tasks"):
            whole(info.get(name), name, 0)
    except WorldModelError as error:
        raise DatasetError(f"{path}: {error}: {REMEDY}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} is damaged ({error!r}): {REMEDY}") from error
    return spec, info


def warn_of_statistics(root: Path, frames: int) -> None:
    """Warns where `meta/stats.json` is not what it should be.

    Nothing here reads it, statistics come from the episodes' records; but others do.
    """
    path = root / layout.STATS
    try:
        check_statistics(read_object(path), frames)
    except (WorldModelError, OSError) as error:
        why = str(error).removeprefix(f"{path} ")
        warnings.warn(
            f"{path} is damaged ({why}): statistics are computed from the episodes' "
            "records instead",
            stacklevel=3,
        )


def read_tasks(root: Path, count: int) -> dict[str, int]:
    """Gives each task's index from `meta/tasks.parquet`.

    Args:
        root: The dataset's folder.
        count: Tasks that info.json counts.

    Raises:
        DatasetError: It is missing, damaged, or lists fewer tasks.
    """
    path = root / layout.TASKS
    if not count and not path.is_file():
        return {}
    table = read_table(path, None)
    columns = [name for name in _TASK_COLUMNS if name in table.column_names]
    if not columns or "task_index" not in table.column_names:
        raise DatasetError(
            f"{path} must have the columns task_index and task, it has "
            f"{table.column_names}: {REMEDY}"
        )
    texts, places = table[columns[0]].to_pylist(), table["task_index"].to_pylist()
    is_whole = all(isinstance(place, int) for place in places)
    if not is_whole or len(places) < count or not set(range(count)) <= set(places):
        raise DatasetError(
            f"{path} must list the tasks 0 to {count - 1} that {layout.INFO} counts, "
            f"got {short(places)}: {REMEDY}"
        )
    return {str(text): place for text, place in zip(texts, places, strict=True)}


def write_statistics(root: Path, stats: Statistics) -> None:
    """Writes `meta/stats.json`."""
    _write_json(
        root / layout.STATS, {key: value.to_json() for key, value in stats.items()}
    )


def write_tasks(root: Path, tasks: Sequence[str]) -> None:
    """Writes `meta/tasks.parquet`: a row per task, as pandas stores a named index."""
    index = {"name": "task", "field_name": "task", "pandas_type": "unicode"}
    column = {
        "name": "task_index",
        "field_name": "task_index",
        "pandas_type": "int64",
        "numpy_type": "int64",
        "metadata": None,
    }
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [column, {**index, "numpy_type": "object", "metadata": None}],
        "pandas_version": "2.0.0",
    }
    table = pa.table(
        {"task_index": pa.array(range(len(tasks)), pa.int64()), "task": list(tasks)}
    )
    schema = table.schema.with_metadata({"pandas": json.dumps(pandas)})
    with new_file(root / layout.TASKS) as file:
        write_parquet(file, [table], schema)


def read_records(root: Path, episodes: int, columns: Sequence[str]) -> list[dict]:
    """Gives the rows of the first `episodes` episodes' records, in order.

    Raises:
        DatasetError: A file is damaged or an episode is missing.
    """
    rows: list[dict] = []
    folder = root / layout.EPISODES
    for path in sorted(folder.glob("chunk-*/file-*.parquet")):
        table = read_table(path, columns)
        if table["episode_index"].null_count:
            raise DatasetError(f"{path}: episode_index must not be null: {REMEDY}")
        rows += [row for row in table.to_pylist() if row["episode_index"] < episodes]
    found = [row["episode_index"] for row in rows]
    if len(found) != episodes or found != list(range(len(found))):
        raise DatasetError(
            f"{folder} must list the episodes 0 to {episodes - 1} that {layout.INFO} "
            f"counts, it has {len(rows)} of them: {REMEDY}"
        )
    return rows


def read_table(path: Path, columns: Sequence[str] | None) -> pa.Table:
    """Gives columns of a Parquet file, or all.

    Raises:
        DatasetError: The file is damaged or lacks a column.
    """
    try:
        wanted = None if columns is None else list(columns)
        table = pq.read_table(path, columns=wanted)
    except FileNotFoundError as error:
        raise DatasetError(f"{path} is missing: {REMEDY}") from error
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is damaged ({error}): {REMEDY}") from error
    missing = [name for name in columns or () if name not in table.column_names]
    if missing:
        raise DatasetError(f"{path} lacks the columns {missing}: {REMEDY}")
    return table


def _missing(root: Path) -> str:
    if not root.is_dir():
        return f"no dataset at {root}: make one with `worldmodel collect out={root}`"
    return (
        f"{root} is not a dataset, or only a part of one: {layout.INFO} is missing; "
        f"make one with `worldmodel collect out={root}` or name another folder"
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=4, ensure_ascii=False)
    with new_file(path) as file:
        file.write_text(text, encoding="utf-8")

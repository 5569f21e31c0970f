"""The files under `meta/`: read with checks, written whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldmodel.atomic import new_file
from worldmodel.data import layout
from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import DatasetSpec
from worldmodel.data.statistics import Statistics
from worldmodel.data.table import write_parquet

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
        info = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path} is not valid JSON ({error}): {REMEDY}") from error
    try:
        spec = DatasetSpec.from_info(info)
        counts = [int(info[name]) for name in ("total_episodes", "total_frames")]
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} is damaged ({error!r}): {REMEDY}") from error
    if min(counts) < 0:
        raise DatasetError(f"{path} is damaged (negative counts): {REMEDY}")
    return spec, info


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
        rows += [row for row in table.to_pylist() if row["episode_index"] < episodes]
    if [row["episode_index"] for row in rows] != list(range(episodes)):
        raise DatasetError(
            f"{folder} must list the episodes 0 to {episodes - 1} that {layout.INFO} "
            f"counts, it has {len(rows)} of them: {REMEDY}"
        )
    return rows


def read_table(path: Path, columns: Sequence[str]) -> pa.Table:
    """Gives columns of a Parquet file.

    Raises:
        DatasetError: The file is damaged or lacks a column.
    """
    try:
        table = pq.read_table(path, columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is damaged ({error}): {REMEDY}") from error
    missing = [name for name in columns if name not in table.column_names]
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

"""What a dataset's files must agree on; whatever does not is named with its episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import IMAGE_KEY, RECORDED_KEYS, DatasetSpec
from worldmodel.data.staging import EpisodeRecord
from worldmodel.data.table import column_types, rows
from worldmodel.files.json_file import short

_CLOSE = 0.01  # of a control step, what a timestamp may be off
_WHOLE = (
    "episode_index",
    "length",
    "data/chunk_index",
    "data/file_index",
    "dataset_from_index",
    "dataset_to_index",
)


def check_records(records: Sequence[Mapping[str, Any]], frames: int) -> None:
    """Checks that the episodes' records hold numbers, and follow one another.

    Args:
        records: Rows of the records' files, in the order of the episodes.
        frames: What info.json says that all episodes have together.

    Raises:
        DatasetError: They do not; the message names the episode.
    """
    first = 0
    for row in records:
        name = f"episode {row['episode_index']}"
        for key in _WHOLE:
            value = row[key]
            if not isinstance(value, int) or value < 0:
                raise DatasetError(
                    f"{name}: {key} must be a whole number of at least 0, got {value!r}"
                )
        length, begin, end = (
            row[key] for key in ("length", "dataset_from_index", "dataset_to_index")
        )
        if length < 1 or (begin, end) != (first, first + length):
            raise DatasetError(
                f"{name}: its length={length} frames must be the rows from {first} on, "
                f"got dataset_from_index={begin} and dataset_to_index={end}"
            )
        first = end
    if first != frames:
        raise DatasetError(
            f"total_frames must be {first}, the frames of all {len(records)} episodes, "
            f"got {frames}"
        )


def check_schema(schema: pa.Schema, spec: DatasetSpec) -> None:
    """Checks that a data file has the columns that info.json describes.

    Raises:
        DatasetError: One is missing or of another type or size.
    """
    for key, wanted in column_types(spec).items():
        place = schema.get_field_index(key)
        if place < 0:
            raise DatasetError(f"the column {key} is missing, it has {schema.names}")
        found = schema.field(place).type
        if key != IMAGE_KEY and found != wanted:
            raise DatasetError(f"the column {key} must be {wanted}, got {found}")
        if key == IMAGE_KEY and not _holds_bytes(found):
            raise DatasetError(
                f"the column {key} must be a struct with binary bytes, got {found}"
            )


def check_rows(
    table: pa.Table, record: EpisodeRecord, spec: DatasetSpec, task: int | None
) -> None:
    """Checks that an episode's rows are those of that episode, in order.

    Args:
        table: Its rows.
        record: What is known of it.
        spec: The dataset's.
        task: What task_index must be; None where nothing says it.

    Raises:
        DatasetError: The message names column and row.
    """
    count = table.num_rows
    if count != record.length:
        raise DatasetError(f"must have length={record.length} rows, got {count}")
    for key in (*RECORDED_KEYS, "timestamp", "frame_index", "episode_index"):
        if table[key].null_count:
            raise DatasetError(f"{key} must not be null, {table[key].null_count} are")
    missing = table[IMAGE_KEY].combine_chunks().field("bytes").is_null()
    missing = missing.to_numpy(zero_copy_only=False)
    if missing.any():
        raise DatasetError(f"frame {int(missing.argmax())} must have bytes, got null")
    steps = np.arange(count)
    _check_equal("frame_index", rows(table, "frame_index"), steps)
    _check_equal(
        "episode_index", rows(table, "episode_index"), np.full(count, record.index)
    )
    if task is not None and "task_index" in table.column_names:
        _check_equal("task_index", rows(table, "task_index"), np.full(count, task))
    times = rows(table, "timestamp").astype(np.float64)
    wanted = steps / spec.fps
    off = ~(np.abs(times - wanted) < _CLOSE / spec.fps)  # also true for NaN
    if off.any():
        row = int(off.argmax())
        raise DatasetError(
            f"timestamp must be frame_index / fps={spec.fps}, so {wanted[row]:g} s in "
            f"row {row}, got {times[row]:g}"
        )


def _check_equal(key: str, found: np.ndarray, wanted: np.ndarray) -> None:
    wrong = found != wanted
    if wrong.any():
        row = int(wrong.argmax())
        raise DatasetError(
            f"{key} must be {wanted[row]} in row {row}, got {found[row]}"
        )


def _holds_bytes(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return False
    names = [kind.field(i).name for i in range(kind.num_fields)]
    return "bytes" in names and pa.types.is_binary(kind.field("bytes").type)


def check_statistics(values: Mapping[str, Any], frames: int) -> None:
    """Checks that a stats.json holds what it should of so many frames, or more.

    Raises:
        DatasetError: It does not; the message names the feature.
    """
    for key in RECORDED_KEYS:
        feature = values.get(key)
        if not isinstance(feature, Mapping):
            raise DatasetError(f"{key} must be an object, got {short(feature)}")
        for name in ("min", "max", "mean", "std"):
            try:
                numbers = np.asarray(feature.get(name), np.float64)
            except (TypeError, ValueError):
                numbers = np.array(np.nan)
            if not numbers.size or not np.isfinite(numbers).all():
                raise DatasetError(
                    f"{key}.{name} must be finite numbers, got "
                    f"{short(feature.get(name))}"
                )
        count = feature.get("count")
        known = count[0] if isinstance(count, list) and len(count) == 1 else None
        if not isinstance(known, int) or known < frames:
            raise DatasetError(
                f"{key}.count must be [{frames}] or more, got {short(count)}"
            )

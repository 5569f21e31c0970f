"""The numbers in the rows of any LeRobot v3 dataset: actions, proprio, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from worldmodel.data.errors import DatasetError
from worldmodel.data.foreign_info import ForeignInfo
from worldmodel.data.foreign_records import ForeignRecord, read_columns
from worldmodel.data.spec import ACTION_KEY, PROPRIO_KEY

_COUNTERS = ("episode_index", "frame_index")
_WISHED = ("index", "timestamp", "task_index")
_OFF = 0.2  # of a control step, what a timestamp may be off
_SAME_RATE = 0.01  # relative


@dataclass(frozen=True, eq=False)
class Numbers:
    """What the rows of an episode hold beside pictures.

    Attributes:
        first: Its first row in its data file.
        actions: As recorded, (T, A).
        proprio: As recorded, (T, S); S may be 0.
        times: Since its beginning, float64 (T,) [s]; None where nothing tells them.
        task: Index of its task, of the first row; None where nothing tells it.
    """

    first: int
    actions: np.ndarray
    proprio: np.ndarray
    times: np.ndarray | None
    task: int | None


def read_numbers(
    info: ForeignInfo, records: Sequence[ForeignRecord]
) -> tuple[dict[int, Numbers], list[str]]:
    """Reads the rows of all episodes without their pictures.

    Returns:
        The numbers of each episode by its index, and what is wrong with others, each
        with its file and episode.
    """
    found: dict[int, Numbers] = {}
    problems: list[str] = []
    for file, group in groupby(records, key=lambda record: record.data_file):
        some = list(group)
        try:
            table = read_columns(file, [*_COUNTERS, *info.vectors], _WISHED)
            counters = {key: _whole_column(table, key) for key in _COUNTERS}
        except DatasetError as error:
            problems.append(f"episode {some[0].index}: {error}")
            continue
        for record in some:
            try:
                found[record.index] = _numbers(table, counters, record, info)
            except DatasetError as error:
                problems.append(f"episode {record.index}: {error} in {file}")
    return found, problems


def rate_of(info: ForeignInfo, numbers: Mapping[int, Numbers]) -> float:
    """Gives the control rate that the timestamps tell, or info.json's [Hz].

    Info.json's where they agree to 1%, or where there are no timestamps.
    """
    known = [n.times for n in numbers.values() if n.times is not None]
    steps = [np.diff(times) for times in known if len(times) > 1]
    if not steps:
        return info.rate_hz
    step = float(np.median(np.concatenate(steps)))
    if not step > 0 or abs(step * info.rate_hz - 1) < _SAME_RATE:
        return info.rate_hz
    rate = 1 / step
    return float(round(rate)) if abs(rate - round(rate)) < 1e-3 * rate else rate


def check_times(numbers: Mapping[int, Numbers], rate_hz: float) -> list[str]:
    """Gives which episodes have timestamps that are not one control step apart."""
    found: list[str] = []
    for index, of_episode in numbers.items():
        times = of_episode.times
        if times is None:
            continue
        wanted = times[0] + np.arange(len(times)) / rate_hz
        off = ~(np.abs(times - wanted) < _OFF / rate_hz)  # also true for NaN
        if off.any():
            row = int(off.argmax())
            found.append(
                f"episode {index}: timestamp must grow by 1 / {rate_hz:g} s, so "
                f"{wanted[row]:g} s in row {row}, got {times[row]:g}"
            )
    return found


def _numbers(
    table: pa.Table,
    counters: Mapping[str, np.ndarray],
    record: ForeignRecord,
    info: ForeignInfo,
) -> Numbers:
    rows = np.flatnonzero(counters["episode_index"] == record.index)
    if len(rows) != record.length:
        raise DatasetError(f"must have length={record.length} rows, got {len(rows)}")
    first = int(rows[0])
    if rows[-1] - first + 1 != len(rows):
        raise DatasetError("its rows must follow one another, others are among them")
    steps = np.arange(record.length)
    _check_counter("frame_index", counters["frame_index"][rows], steps)
    own = table.slice(first, record.length)
    if "index" in own.column_names:
        _check_counter("index", _whole_column(own, "index"), record.first + steps)
    vectors = {key: _vectors(own, key, size) for key, size in info.vectors.items()}
    for key, values in vectors.items():
        _check_finite(key, values, info.features[key].names)
    has_times, has_tasks = (k in own.column_names for k in ("timestamp", "task_index"))
    return Numbers(
        first=first,
        actions=vectors[ACTION_KEY],
        proprio=vectors.get(PROPRIO_KEY, np.zeros((record.length, 0), np.float32)),
        times=_column(own, "timestamp").astype(np.float64) if has_times else None,
        task=own["task_index"][0].as_py() if has_tasks else None,
    )


def _vectors(table: pa.Table, key: str, size: int) -> np.ndarray:
    """Gives a column of vectors, or of single numbers, as (T, size)."""
    column: Any = table[key].combine_chunks()
    kind = column.type
    if pa.types.is_fixed_size_list(kind) or _is_list(kind):
        if column.null_count:
            raise DatasetError(f"{key} must not be null, {column.null_count} rows are")
        flat = column.flatten()
    else:
        flat = column
    if not (pa.types.is_floating(flat.type) or pa.types.is_integer(flat.type)):
        raise DatasetError(f"the column {key} must hold numbers, got {kind}")
    if _is_list(kind):
        lengths = column.value_lengths().to_numpy(zero_copy_only=False)
        if (lengths != size).any():
            row = int((lengths != size).argmax())
            raise DatasetError(
                f"{key} must have {size} numbers in frame {row}, got {lengths[row]}"
            )
    if len(flat) != table.num_rows * size:
        raise DatasetError(f"{key} must have {size} numbers a row, got {kind}")
    values = flat.to_numpy(zero_copy_only=False).reshape(table.num_rows, size)
    return values.copy()  # so that the table can go


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _column(table: pa.Table, key: str) -> np.ndarray:
    column: Any = table[key].combine_chunks()
    return column.to_numpy(zero_copy_only=False)


def _whole_column(table: pa.Table, key: str) -> np.ndarray:
    if table[key].null_count or not pa.types.is_integer(table[key].type):
        raise DatasetError(
            f"the column {key} must hold whole numbers, got {table[key].type} with "
            f"{table[key].null_count} null"
        )
    return _column(table, key)


def _check_counter(key: str, found: np.ndarray, wanted: np.ndarray) -> None:
    wrong = found != wanted
    if wrong.any():
        row = int(wrong.argmax())
        raise DatasetError(
            f"{key} must be {wanted[row]} in its row {row}, got {found[row]}"
        )


def _check_finite(key: str, values: np.ndarray, names: Sequence[str]) -> None:
    wrong = ~np.isfinite(values)
    if wrong.any():
        frame, place = np.argwhere(wrong)[0]
        raise DatasetError(
            f"{key} must be finite, got {values[frame, place]} for "
            f"{names[place]} in frame {frame}"
        )

"""One data file with the records of its episodes; the last of a dataset still grows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldmodel.data import layout
from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import IMAGE_KEY, KEYS, DatasetSpec
from worldmodel.data.staging import EpisodeRecord
from worldmodel.data.statistics import ARRAYS, FeatureStatistics, Statistics
from worldmodel.data.table import data_schema, image_bytes, write_parquet
from worldmodel.files.atomic import new_file

_DIGEST = "worldmodel/digest"
_NOTES = "worldmodel/notes"
_NUMBERS = (
    "length",
    "data/chunk_index",
    "data/file_index",
    "dataset_from_index",
    "dataset_to_index",
    "meta/episodes/chunk_index",
    "meta/episodes/file_index",
)
RECORD_COLUMNS = ("episode_index", "tasks", *_NUMBERS, _DIGEST, _NOTES)
_STATISTICS = (*ARRAYS, "count")


class Shard:
    """The episodes of one data file, in memory until the file is full.

    Attributes:
        number: Place of the file among the dataset's data files, from 0.
        size: Encoded frames in it [bytes].
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 0
        self._tables: list[pa.Table] = []
        self._records: list[dict[str, Any]] = []

    def __len__(self) -> int:
        """Number of episodes in it."""
        return len(self._tables)

    def is_full(self, table: pa.Table, limit: int) -> bool:
        """Tells whether one more episode would make it larger than `limit` [bytes]."""
        return len(self) > 0 and self.size + image_bytes(table) > limit

    def add(self, table: pa.Table, record: EpisodeRecord, stats: Statistics) -> None:
        """Appends an episode whose table has all columns."""
        first = table["index"][0].as_py()
        chunk, file = layout.shard_place(self.number)
        numbers = (record.length, chunk, file, first, first + record.length)
        row: dict[str, Any] = {
            "episode_index": record.index,
            "tasks": [record.task],
            **dict(zip(_NUMBERS, (*numbers, chunk, file), strict=True)),
            _DIGEST: record.digest,
            _NOTES: json.dumps(dict(record.notes)),
        }
        for key, feature in stats.items():
            for name, values in feature.to_json().items():
                row[f"stats/{key}/{name}"] = values
        self._append(table, row)

    def write(self, root: Path, spec: DatasetSpec) -> None:
        """Writes the data file, then the file of its episodes' records."""
        with new_file(layout.data_file(root, self.number)) as file:
            write_parquet(file, self._tables, data_schema(spec))
        schema = _records_schema()
        records = pa.Table.from_pylist(self._records, schema)
        with new_file(layout.episodes_file(root, self.number)) as file:
            write_parquet(file, [records], schema)

    @classmethod
    def load(cls, root: Path, number: int, episodes: int) -> Shard:
        """Gives a written shard back, to let it grow.

        Args:
            root: The dataset's folder.
            number: The shard's number.
            episodes: How many of its episodes count; later ones were not committed.
        """
        shard = cls(number)
        data = pq.ParquetFile(layout.data_file(root, number))
        records = pq.read_table(layout.episodes_file(root, number))
        for place, row in enumerate(records.slice(0, episodes).to_pylist()):
            shard._append(data.read_row_group(place), row)
        return shard

    def _append(self, table: pa.Table, row: dict[str, Any]) -> None:
        self._tables.append(table)
        self._records.append(row)
        self.size += image_bytes(table)


def last_shard(root: Path, records: list[dict[str, Any]]) -> Shard:
    """Gives the shard for the next episode, after the episodes of these records."""
    if not records:
        return Shard(0)
    number = shard_number(records[-1])
    episodes = sum(shard_number(row) == number for row in records)
    return Shard.load(root, number, episodes)


def shard_number(row: dict[str, Any]) -> int:
    """Gives the number of the shard that holds an episode's frames."""
    return layout.shard_number(row["data/chunk_index"], row["data/file_index"])


def record_of(row: dict[str, Any]) -> EpisodeRecord:
    """Gives what a row of the episodes' records says."""
    try:
        return EpisodeRecord(
            index=row["episode_index"],
            length=row["length"],
            task=str(row["tasks"][0]),
            notes=dict(json.loads(row[_NOTES])),
            digest=str(row[_DIGEST]),
        )
    except (IndexError, RecursionError, TypeError, ValueError) as error:
        raise DatasetError(
            f"episode {row['episode_index']} has a damaged record ({error})"
        ) from error


def statistics_columns(keys: Iterable[str]) -> list[str]:
    """Gives the columns of the records that hold the statistics of these features."""
    return [f"stats/{key}/{name}" for key in keys for name in _STATISTICS]


def statistics_of(row: dict[str, Any], keys: Iterable[str]) -> Statistics:
    """Gives the statistics of these features from a row of the episodes' records."""
    return {
        key: FeatureStatistics.from_json(
            {name: row[f"stats/{key}/{name}"] for name in _STATISTICS}
        )
        for key in keys
    }


def _records_schema() -> pa.Schema:
    columns = [pa.field("episode_index", pa.int64())]
    columns.append(pa.field("tasks", pa.list_(pa.string())))
    columns += [pa.field(name, pa.int64()) for name in _NUMBERS]
    columns += [pa.field(_DIGEST, pa.string()), pa.field(_NOTES, pa.string())]
    vector = pa.list_(pa.float64())
    for key in KEYS:
        values = pa.list_(pa.list_(vector)) if key == IMAGE_KEY else vector
        columns += [pa.field(f"stats/{key}/{name}", values) for name in ARRAYS]
        columns.append(pa.field(f"stats/{key}/count", pa.list_(pa.int64())))
    return pa.schema(columns)

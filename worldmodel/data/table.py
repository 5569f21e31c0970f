"""Episodes as Arrow tables: the columns of the data files, and back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from worldmodel.data import statistics
from worldmodel.data.episode import Episode
from worldmodel.data.png import decode_frames, encode_frames
from worldmodel.data.spec import (
    ACTION_KEY,
    IMAGE_KEY,
    PROPRIO_KEY,
    SIM_STATE_KEY,
    DatasetSpec,
)
from worldmodel.data.statistics import Statistics

_IMAGE_TYPE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def column_types(spec: DatasetSpec) -> dict[str, pa.DataType]:
    """Gives the types of a data file's columns."""
    schema = data_schema(spec)
    return {field.name: field.type for field in schema}


def data_schema(spec: DatasetSpec) -> pa.Schema:
    """Gives the columns of a data file, with Hugging Face's hints on their types."""
    columns, hints = [], {}
    for key, feature in spec.to_info()["features"].items():
        dtype, size = feature["dtype"], feature["shape"][0]
        if dtype == "image":
            columns.append(pa.field(key, _IMAGE_TYPE))
            hints[key] = {"_type": "Image"}
            continue
        value = {"dtype": dtype, "_type": "Value"}
        columns.append(pa.field(key, _column_type(dtype, size)))
        hints[key] = (
            {"feature": value, "length": size, "_type": "Sequence"}
            if size > 1
            else value
        )
    metadata = {"huggingface": json.dumps({"info": {"features": hints}})}
    return pa.schema(columns, metadata=metadata)


def episode_table(index: int, episode: Episode, spec: DatasetSpec) -> pa.Table:
    """Gives an episode's columns, except those that earlier episodes determine."""
    steps = np.arange(len(episode))
    pngs = encode_frames(episode.frames)
    paths = [f"frame-{step:06d}.png" for step in steps]
    columns = {
        IMAGE_KEY: pa.StructArray.from_arrays(
            [pa.array(pngs, pa.binary()), pa.array(paths, pa.string())],
            fields=list(_IMAGE_TYPE),
        ),
        PROPRIO_KEY: _vectors(episode.proprio),
        ACTION_KEY: _vectors(episode.actions),
        SIM_STATE_KEY: _vectors(episode.sim_state),
        "timestamp": pa.array((steps / spec.fps).astype(np.float32)),
        "frame_index": pa.array(steps, pa.int64()),
        "episode_index": pa.array(np.full(len(steps), index), pa.int64()),
    }
    return pa.table(columns)


def episode_statistics(table: pa.Table, episode: Episode) -> Statistics:
    """Gives the statistics of every column of `episode_table`."""
    result = {IMAGE_KEY: statistics.of_frames(episode.frames)}
    for key in table.column_names:
        if key != IMAGE_KEY:
            result[key] = statistics.of_rows(rows(table, key))
    return result


def place(table: pa.Table, first_row: int, task_index: int) -> pa.Table:
    """Adds to `episode_table` the columns that earlier episodes determine."""
    count = table.num_rows
    index = np.arange(first_row, first_row + count)
    table = table.append_column("index", pa.array(index, pa.int64()))
    tasks = np.full(count, task_index)
    return table.append_column("task_index", pa.array(tasks, pa.int64()))


def rows(table: pa.Table, key: str) -> np.ndarray:
    """Gives a number column as (T,) or a vector column as (T, size)."""
    column = table[key].combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(table.num_rows, column.type.list_size)
    return column.to_numpy(zero_copy_only=False)


def pngs(table: pa.Table) -> list[bytes]:
    """Gives the encoded frames."""
    return table[IMAGE_KEY].combine_chunks().field("bytes").to_pylist()


def image_bytes(table: pa.Table) -> int:
    """Gives the size of the encoded frames [bytes]."""
    return sum(len(png) for png in pngs(table))


def digest(table: pa.Table) -> str:
    """Gives a hash of what was recorded; place in the dataset does not enter it."""
    hasher = hashlib.blake2b(digest_size=16)
    for png in pngs(table):
        hasher.update(png)
    for key in (PROPRIO_KEY, ACTION_KEY, SIM_STATE_KEY):
        hasher.update(rows(table, key).tobytes())
    return hasher.hexdigest()


def frames(table: pa.Table, spec: DatasetSpec) -> np.ndarray:
    """Gives the decoded frames, uint8 (T, height, width, 3)."""
    return decode_frames(pngs(table), spec.height, spec.width)


def vectors(table: pa.Table, key: str, spec: DatasetSpec) -> np.ndarray:
    """Gives a vector column as (T, size), also where size is 1."""
    return rows(table, key).reshape(table.num_rows, spec.sizes[key])


def write_parquet(path: Path, tables: list[pa.Table], schema: pa.Schema) -> None:
    """Writes a Parquet file with each table as a row group of its own."""
    # The least and greatest PNG of a row group would be stored, too, if not told.
    counters = [field.name for field in schema if pa.types.is_integer(field.type)]
    with pq.ParquetWriter(
        path,
        schema,
        use_dictionary=False,
        write_statistics=counters,  # type: ignore[arg-type]  # a list is documented
    ) as writer:
        for table in tables:
            columns = table.select(schema.names)
            plain = columns.replace_schema_metadata(schema.metadata)
            writer.write_table(plain, row_group_size=table.num_rows)


def _vectors(values: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).ravel())
    size = values.shape[1]
    return flat if size == 1 else pa.FixedSizeListArray.from_arrays(flat, size)


def _column_type(dtype: str, size: int) -> pa.DataType:
    value = pa.type_for_alias(dtype)
    return value if size == 1 else pa.list_(value, size)

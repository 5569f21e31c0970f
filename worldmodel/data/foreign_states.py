"""Columns of a dataset that others recorded, beside those that training reads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from worldmodel.data.errors import DatasetError
from worldmodel.data.foreign import ForeignDataset
from worldmodel.data.foreign_records import read_columns, read_foreign_records

_EPISODE = "episode_index"


def read_vectors(dataset: ForeignDataset, keys: Sequence[str]) -> np.ndarray:
    """Gives columns of numbers, side by side, at each frame of a dataset.

    Args:
        dataset: Whose view says which frames, as of a `FrameCache` of it.
        keys: The columns.

    Returns:
        float64 (N, n), one row a frame, episode after episode.

    Raises:
        DatasetError: A column is missing or holds no numbers; the message names it.
    """
    info = dataset.info
    unknown = [key for key in keys if key not in info.features]
    if unknown:
        raise DatasetError(
            f"{dataset.path} has no column {', '.join(unknown)}; it has: "
            f"{', '.join(sorted(info.features))}"
        )
    rows: dict[int, np.ndarray] = {}
    (camera,) = info.cameras(dataset.cameras[:1])
    records = read_foreign_records(info, camera)
    for file, group in groupby(records, key=lambda record: record.data_file):
        table = read_columns(file, [_EPISODE, *keys], ())
        episode = table[_EPISODE].to_numpy()
        parts = [_numbers(key, table[key].to_pylist()) for key in keys]
        values = np.concatenate(parts, axis=1)
        for record in group:
            own = values[episode == record.index]
            rows[record.index] = own[:: dataset.view.stride]
    found = [rows[record.index][: record.length] for record in dataset.records]
    return np.concatenate(found)


def _numbers(key: str, values: list) -> np.ndarray:
    """Gives a column as (rows, size)."""
    try:
        found = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f"the column {key} must hold vectors of one length, of numbers: {error}"
        ) from error
    return found.reshape(len(found), -1)

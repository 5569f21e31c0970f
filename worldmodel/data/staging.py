"""Finished episodes on their way into a dataset: one durable file each.

An episode is safe from the moment `stage_episode` returns, in whatever process and
order the episodes are finished. The one writer moves them into the data files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worldmodel.data import layout
from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import DatasetSpec
from worldmodel.data.statistics import FeatureStatistics, Statistics
from worldmodel.data.table import (
    digest,
    episode_statistics,
    episode_table,
    write_parquet,
)
from worldmodel.files.atomic import new_file

_HEADER = b"worldmodel"


@dataclass(frozen=True)
class EpisodeRecord:
    """What is known of an episode without its frames.

    Attributes:
        index: Its number in the dataset.
        length: Control steps recorded.
        task: What it is for, in words.
        notes: Plain JSON about how it was made.
        digest: Hash of what was recorded.
    """

    index: int
    length: int
    task: str
    notes: Mapping[str, Any]
    digest: str


def stage_episode(
    root: str | Path, spec: DatasetSpec, index: int, episode: Episode
) -> EpisodeRecord:
    """Writes a finished episode durably; callable from any process, in any order.

    Args:
        root: Folder of a dataset that a `DatasetWriter` has opened.
        spec: The dataset's spec.
        index: The episode's number, counted from 0.
        episode: What was recorded.

    Returns:
        What will be recorded about it.

    Raises:
        DatasetError: The episode does not have the sizes that the spec states, or its
            notes are not plain JSON.
    """
    if index < 0:
        raise DatasetError(f"the episode's index must be at least 0, got {index}")
    try:
        spec.check(episode)
        notes = json.dumps(dict(episode.notes))
    except (DatasetError, TypeError) as error:
        raise DatasetError(f"episode {index}: {error}") from error
    table = episode_table(index, episode, spec)
    record = EpisodeRecord(
        index, len(episode), episode.task, json.loads(notes), digest(table)
    )
    stats = episode_statistics(table, episode)
    header = {**vars(record), "stats": {k: v.to_json() for k, v in stats.items()}}
    schema = table.schema.with_metadata({_HEADER: json.dumps(header)})
    with new_file(layout.staged_file(Path(root), index)) as file:
        write_parquet(file, [table], schema)
    return record


def read_staged_table(path: Path) -> pa.Table:
    """Gives the columns of a staged episode."""
    return pq.read_table(path)


def read_staged_header(path: Path) -> tuple[EpisodeRecord, Statistics] | None:
    """Gives what is known of a staged episode, or None if the file is torn.

    A file can be torn only where a disk or a power supply failed; what it held counts
    as not finished.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return None
    if _HEADER not in metadata:
        return None
    try:
        header = json.loads(metadata[_HEADER])
        stats = header.pop("stats")
        return EpisodeRecord(**header), {
            key: FeatureStatistics.from_json(values) for key, values in stats.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path} is no finished episode of ours ({error!r}): delete it, and "
            "collect again"
        ) from error

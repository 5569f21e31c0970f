"""What the decoded cache of a dataset takes on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from worldmodel.data.errors import DatasetError
from worldmodel.data.lazy_frames import LazySource
from worldmodel.data.source import EpisodeSource
from worldmodel.data.spec import DatasetSpec

ARRAYS = {"frames": "u1", "actions": "f4", "proprio": "f4", "sim_state": "f8"}


def row_shapes(spec: DatasetSpec) -> list[tuple[int, ...]]:
    """What a row of each array looks like."""
    return [
        (spec.height, spec.width, 3),
        (spec.action_spec.size * spec.action_spec.block,),
        (len(spec.proprio_names),),
        (spec.sim_state_size,),
    ]


def _bytes(dataset: EpisodeSource) -> dict[str, int]:
    """What each array of a dataset's cache takes."""
    rows = zip(ARRAYS.items(), row_shapes(dataset.spec), strict=True)
    return {
        name: dataset.frames * int(np.prod(shape)) * np.dtype(kind).itemsize
        for (name, kind), shape in rows
    }


def is_beyond(limit: int, dataset: EpisodeSource) -> bool:
    """Whether a limit is less than all frames take, which only others' may be."""
    whole = _bytes(dataset)["frames"]
    if whole > limit and not isinstance(dataset, LazySource):
        raise DatasetError(
            f"the decoded frames of {dataset.path} take {_size(whole)}, more than the "
            f"limit of {_size(limit)}, and only those of datasets of others can be "
            "dropped: give a greater cache_limit=, or null"
        )
    return whole > limit


def check_space(dataset: EpisodeSource, folder: Path, limit: int | None) -> None:
    """Checks that the cache fits: a mapped write to a full disk kills the process."""
    needed, free = sum(_bytes(dataset).values()), shutil.disk_usage(folder.parent).free
    if limit is not None:
        needed += limit - _bytes(dataset)["frames"]
    if needed > free:
        raise DatasetError(
            f"the decoded frames of {dataset.path} need {_size(needed)} at "
            f"{folder}, {_size(free)} are free: make room, or name a folder on "
            "another disk with cache="
        )


def _size(count: int) -> str:
    """Gives a number of bytes in a unit that shows it."""
    for unit, each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= each:
            return f"{count / each:.1f} {unit}"
    return f"{count} bytes"

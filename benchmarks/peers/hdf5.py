"""Recorded episodes in the HDF5 layout that stable-worldmodel trains on."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from worldmodel.data import Episode, LeRobotDataset, Split, SplitRule
from worldmodel.files.atomic import new_file


def write_hdf5(
    dataset: LeRobotDataset,
    split: Split,
    out: Path,
    parts: Mapping[str, slice] = MappingProxyType({}),
) -> None:
    """Writes the episodes of a split, unless the file has as many already.

    One row a moment in each column, `ep_len` and `ep_offset` beside them. Frames are
    packed losslessly, one a chunk, as their reader takes them.

    Args:
        dataset: What was recorded.
        split: Which episodes.
        out: The file.
        parts: Further columns that are parts of a state, and where they are in it.
    """
    h5py = importlib.import_module("h5py")
    packing = importlib.import_module("hdf5plugin").Zstd(clevel=1)
    indices = np.array(dataset.indices)
    chosen = indices[SplitRule().holds(split, indices)]
    if out.exists():
        with h5py.File(out) as file:
            if len(file["ep_len"]) == len(chosen):
                return
    with new_file(out) as staged, h5py.File(staged, "w", libver="latest") as file:
        written = 0
        lengths = []
        for index in chosen.tolist():
            columns = columns_of(dataset.episode(index), len(lengths), parts)
            for name, rows in columns.items():
                _append(file, name, rows, written, packing)
            lengths.append(len(rows))
            written += lengths[-1]
        file["ep_len"] = np.array(lengths, np.int32)
        file["ep_offset"] = np.cumsum([0, *lengths[:-1]]).astype(np.int64)


def columns_of(
    episode: Episode, place: int, parts: Mapping[str, slice] = MappingProxyType({})
) -> dict[str, np.ndarray]:
    """Gives their columns of an episode, the `place`-th of its file."""
    length = len(episode)
    return {
        "pixels": episode.frames,
        "action": episode.actions,
        "proprio": episode.proprio,
        "state": episode.sim_state,
        "step_idx": np.arange(length),
        "ep_idx": np.full(length, place),
        **{name: episode.sim_state[:, part] for name, part in parts.items()},
    }


def _append(file: Any, name: str, rows: np.ndarray, at: int, packing: Any) -> None:
    size = rows.shape[1:]
    if name not in file:
        file.create_dataset(
            name,
            (0, *size),
            rows.dtype,
            maxshape=(None, *size),
            chunks=(1, *size) if name == "pixels" else (4096, *size),
            **(packing if name == "pixels" else {}),
        )
    file[name].resize(at + len(rows), axis=0)
    file[name][at:] = rows

"""Dataset folders that somebody changed, opened and read as training does."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.damage import cut_off, overwrite, set_json, take_away
from benchmarks.hostile_cases import WORKS, Case
from envs.recording import PROPRIO_NAMES
from envs.simulation import ACTION_SPEC
from worldmodel.action_spec import ActionSpec
from worldmodel.commands.training import open_frames
from worldmodel.data import DatasetSpec, DatasetWriter, Episode

DATA = "data/chunk-000/file-000.parquet"
RECORDS = "meta/episodes/chunk-000/file-000.parquet"
SIDE, STEPS, EPISODES, STATE = 96, 9, 22, 4
IMAGES = "observation.images.left"
WRONG_COUNTS: tuple[Any, ...] = ("12", 11.5, 10**12, -1, None, True, 2**31, [], 1e999)
Change = Callable[[Path], None]


def make_dataset(folder: Path) -> None:
    """Writes a small dataset that is as it should be; none where one stands."""
    if (folder / "meta/info.json").is_file():
        return
    rng = np.random.default_rng(0)
    spec = DatasetSpec(
        height=SIDE,
        width=SIDE,
        proprio_names=PROPRIO_NAMES,
        sim_state_size=STATE,
        action_spec=ActionSpec.from_json(ACTION_SPEC),
    )
    size = spec.action_spec.size
    with DatasetWriter(folder, spec) as writer:
        for index in writer.missing(EPISODES):
            frames = rng.integers(0, 256, (STEPS, SIDE, SIDE, 3), dtype=np.uint8)
            actions = rng.uniform(-1, 1, (STEPS, size)).astype(np.float32)
            proprio = rng.normal(size=(STEPS, len(PROPRIO_NAMES))).astype(np.float32)
            state = rng.normal(size=(STEPS, STATE))
            writer.add(index, Episode(frames, actions, proprio, state))


def datasets(stock: Path) -> Iterator[Case]:
    """Gives the cases, each of a changed copy of the dataset in `stock`."""

    def case(name: str, change: Change, *says: str, right: str = "clear") -> Case:
        run = functools.partial(_read_changed, stock / "play", change)
        return Case(f"datasets/{name}", run, says, right)

    yield case("control: as it is", lambda root: None, right=WORKS)
    for path, values in _INFO.items():
        for value in values:
            change = functools.partial(_set_info, path, value)
            yield case(f"info {path}={value!r}", change, "play")
    for text in ("null", "[]", "", "{}", "[" * 100_000, '{"a":' * 100_000, "\x00"):
        change = functools.partial(overwrite, "meta/info.json", text.encode())
        yield case(f"info {text[:5]!r}", change, "info.json")
    for key, changes in _COLUMNS.items():
        for name, new in changes.items():
            change = functools.partial(_set_column, DATA, key, new)
            yield case(f"rows {key} {name}", change, "episode 3")
    for key, changes in _RECORD_COLUMNS.items():
        for name, new in changes.items():
            change = functools.partial(_set_column, RECORDS, key, new)
            yield case(f"records {key} {name}", change, "episode")
    for name in ("meta/info.json", "meta/tasks.parquet", DATA, RECORDS):
        shown = "meta/episodes" if name == RECORDS else name
        yield case(f"without {name}", functools.partial(take_away, name), shown)
        cut = functools.partial(cut_off, name)
        yield case(f"half of {name}", cut, name)
        yield case(f"garbage in {name}", functools.partial(overwrite, name, b"x" * 99))
    for key in (IMAGES, "action", "frame_index", "observation.state"):
        yield case(f"{key} of texts", functools.partial(_retype, key), key)
        yield case(f"without {key}", functools.partial(_drop, key), key)
    yield case("fewer rows than said", _shorten, "episode 5")
    for name in ("frames", "actions", "offsets", "episodes"):
        yield case(f"cache {name}", functools.partial(_spoil_cache, name), "delete it")


def _read_changed(play: Path, change: Change, folder: Path) -> int:
    leave = shutil.ignore_patterns(".cache")  # of another case, which hides changes
    root = shutil.copytree(play, folder / "play", ignore=leave)
    change(root)
    open_frames(str(root))
    return 0


def _set_info(path: str, value: object, root: Path) -> None:
    set_json(root / "meta/info.json", path, value)


def _groups(file: Path) -> list[pa.Table]:
    whole = pq.ParquetFile(file)
    return [whole.read_row_group(i) for i in range(whole.num_row_groups)]


def _write_groups(file: Path, tables: list[pa.Table]) -> None:
    with pq.ParquetWriter(file, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)


def _set_column(file: str, key: str, new: Callable, root: Path) -> None:
    """Changes a column of the fourth episode, or of the records."""
    tables = _groups(root / file)
    place = min(3, len(tables) - 1)
    table = tables[place]
    at = table.column_names.index(key)
    values = new(table[key].to_pylist())
    column = pa.array(values, table.schema.field(at).type)
    tables[place] = table.set_column(at, table.schema.field(at), column)
    _write_groups(root / file, tables)


def _retype(key: str, root: Path) -> None:
    table = pq.read_table(root / DATA)
    texts = pa.array(["x"] * len(table))
    at = table.column_names.index(key)
    pq.write_table(table.set_column(at, key, texts), root / DATA)


def _drop(key: str, root: Path) -> None:
    pq.write_table(pq.read_table(root / DATA).drop_columns([key]), root / DATA)


def _shorten(root: Path) -> None:
    tables = _groups(root / DATA)
    tables[5] = tables[5].slice(0, len(tables[5]) - 1)
    _write_groups(root / DATA, tables)


def _spoil_cache(name: str, root: Path) -> None:
    """Replaces an array of a finished cache by another one, its size noted."""
    folder = open_frames(str(root)).path
    np.save(folder / f"{name}.npy", np.zeros(3))
    header = json.loads((folder / "cache.json").read_text())
    header["sizes"][f"{name}.npy"] = (folder / f"{name}.npy").stat().st_size
    (folder / "cache.json").write_text(json.dumps(header))


def _first(value: object) -> Callable[[list], list]:
    return lambda values: [value, *values[1:]]


def _backwards(values: list) -> list:
    return values[::-1]


_INFO: dict[str, tuple[Any, ...]] = {
    "fps": (0, -1, "five", ..., None, True, 5.5, 60, 10**30, []),
    "worldmodel/action_spec/rate_hz": (0, 10.0, "x", None, 1e999, ...),
    "worldmodel/action_spec/names": (None, [], ["a"], [1], "dx"),
    "worldmodel/action_spec": (None, {}, []),
    "worldmodel": (None, [], {}, 3),
    "total_episodes": (*WRONG_COUNTS, 23, ...),
    "total_frames": (*WRONG_COUNTS, 7, ...),
    "total_tasks": (*WRONG_COUNTS, 9),
    "features": (None, [], {}, 3),
    "features/action/shape": (96.5, [96.5], [], None, [0], [-1], [10**12], [4]),
    f"features/{IMAGES}/shape": ([10**6, 10**6, 3], [0, 1, 3], 5, [96.5, 96, 3]),
    f"features/{IMAGES}/dtype": ("video", None, 3),
    "features/observation.state/names": (None, [], ["x"], 3),
    "features/sim_state/shape": ([10**6], [5], [10**12]),
    "codebase_version": (None, "v2.1", 3),
}
_COLUMNS: dict[str, dict[str, Callable]] = {
    "timestamp": {
        "NaN": _first(float("nan")),
        "null": _first(None),
        "backwards": _backwards,
        "of another rate": lambda values: [4 * value for value in values],
    },
    "frame_index": {"shuffled": _backwards, "null": _first(None), "one": _first(7)},
    "episode_index": {"another": _first(9), "null": _first(None)},
    "task_index": {"another": _first(9)},
    IMAGES: {
        "null": _first(None),
        "without bytes": _first({"bytes": None, "path": "x"}),
        "cut off": _first({"bytes": b"\x89PNG\r\n\x1a\n", "path": "x"}),
        "empty": _first({"bytes": b"", "path": "x"}),
        "shuffled": _backwards,
    },
    "action": {"beyond": _first([9.0] * 5), "null": _first(None)},
    "observation.state": {"NaN": _first([float("nan")] * len(PROPRIO_NAMES))},
}
_RECORD_COLUMNS: dict[str, dict[str, Callable]] = {
    "length": {"huge": _first(10**12), "negative": _first(-4), "null": _first(None)},
    "dataset_from_index": {"another": _first(3), "null": _first(None)},
    "dataset_to_index": {"another": _first(3)},
    "data/file_index": {"another": _first(77), "negative": _first(-1)},
    "data/chunk_index": {"huge": _first(10**15)},
    "episode_index": {"null": _first(None), "twice": _first(4)},
    "tasks": {"none": _first([]), "unknown": _first(["dance"]), "null": _first(None)},
    "worldmodel/notes": {"deep": _first("[" * 100_000), "null": _first(None)},
    "worldmodel/digest": {"another": _first("0"), "null": _first(None)},
}

"""Datasets of others that are damaged: one line with the episode and what is wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.data.lerobot_like import (
    CAMERA,
    DATA,
    INFO,
    RECORDS,
    TASKS,
    VIDEO,
    Made,
    change,
    change_info,
    change_rows,
    write,
)
from worldmodel.data import DamagedEpisodes, DatasetError, View, open_dataset

KEY = f"videos/{CAMERA}"


def refused(root: Path, view: View | None = None) -> str:
    """Reads everything; gives the one line that it is refused with."""
    with pytest.raises(DatasetError) as caught:
        dataset = open_dataset(root, view)
        for index in dataset.indices:
            dataset.episode(index)
    message = str(caught.value)
    assert "\n" not in message
    assert str(root) in message
    return message


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """A dataset with pictures in parquet and one with a video; copied before use."""
    root = tmp_path_factory.mktemp("made")
    codecs = {"parquet": "PNG", "video": "libx264"}
    return {
        name: write(root / name, Made(codec=codec)) for name, codec in codecs.items()
    }


@pytest.fixture
def copy(made, tmp_path) -> Callable[[str], Path]:
    return lambda kind: shutil.copytree(made[kind], tmp_path / "copy")


def edit(file: str, key: str, values: Callable[[list], Any]) -> Callable[[Path], None]:
    return lambda root: change(root / file, key, values)


def at(place: int, value: Any) -> Callable[[list], list]:
    """Changes one value of a column."""
    return lambda values: [*values[:place], value, *values[place + 1 :]]


def cut(file: str, share: float) -> Callable[[Path], None]:
    def run(root: Path) -> None:
        content = (root / file).read_bytes()
        (root / file).write_bytes(content[: int(share * len(content))])

    return run


def info(path: str, value: Any) -> Callable[[Path], None]:
    return lambda root: change_info(root, path, value)


def rows(file: str, places: list[int]) -> Callable[[Path], None]:
    return lambda root: change_rows(root / file, lambda table: table.take(places))


def gone(file: str) -> Callable[[Path], None]:
    return lambda root: (root / file).unlink()


def no_bytes(pictures: list) -> list:
    return at(6, {"bytes": None, "path": "frame-000001.png"})(pictures)


def torn(pictures: list) -> list:
    return at(6, {"bytes": pictures[6]["bytes"][:50], "path": None})(pictures)


# Episode 0 has the rows 0 to 4, episode 1 the rows 5 to 7, episode 2 the rows 8 to 14.
FULL = [*range(15)]
DAMAGE = [
    ("parquet", edit(DATA, "action", at(6, [1, np.nan])), "episode 1: action must be "),
    ("parquet", edit(DATA, "observation.state", at(9, [0, np.inf, 0])), "in frame 1"),
    ("parquet", edit(DATA, "action", at(6, None)), "action must not be null, 1 rows"),
    ("parquet", edit(DATA, "action", lambda v: None), "lacks the column action"),
    (
        "parquet",
        edit(DATA, "action", lambda v: pa.array(["a"] * 15)),
        "the column action must hold numbers, got string",
    ),
    (
        "parquet",
        edit(DATA, "action", lambda v: pa.array([[1.0, 2.0]] * 14 + [[1.0]])),
        "episode 2: action must have 2 numbers in frame 6, got 1",
    ),
    (
        "parquet",
        edit(DATA, "action", lambda v: pa.array([1.0] * 15)),
        "episode 0: action must have 2 numbers a row, got double",
    ),
    (
        "parquet",
        edit(DATA, "frame_index", at(6, 2)),
        "episode 1: frame_index must be 1",
    ),
    ("parquet", edit(DATA, "frame_index", at(6, None)), "must hold whole numbers"),
    ("parquet", edit(DATA, "episode_index", at(6, 0)), "length=5 rows, got 6"),
    (
        "parquet",
        edit(DATA, "index", at(6, 7)),
        "episode 1: index must be 6 in its row 1",
    ),
    ("parquet", edit(DATA, "timestamp", at(6, 0.3)), "episode 1: timestamp must grow"),
    ("parquet", edit(DATA, "timestamp", at(6, np.nan)), "in row 1, got nan"),
    ("parquet", edit(DATA, CAMERA, no_bytes), "episode 1: frame 1 must have bytes"),
    ("parquet", edit(DATA, CAMERA, torn), "episode 1: frame 1 must be a whole PNG or"),
    ("parquet", edit(DATA, CAMERA, lambda v: None), f"lacks the column {CAMERA}"),
    (
        "parquet",
        edit(DATA, CAMERA, lambda v: pa.array([b""] * 15)),
        f"{CAMERA} must be a struct with binary bytes, got binary",
    ),
    ("parquet", rows(DATA, FULL[:-1]), "episode 2: must have length=7 rows, got 6"),
    ("parquet", rows(DATA, [*FULL[1:], 0]), "episode 0: its rows must follow one anot"),
    ("parquet", rows(DATA, [*FULL[5:], *FULL[:5]][::-1]), "frame_index must be 0"),
    ("parquet", gone(DATA), "file-000.parquet is missing"),
    ("parquet", cut(DATA, 0.5), "file-000.parquet is half-written or damaged"),
    ("parquet", gone(RECORDS), "has no parquet file"),
    ("parquet", cut(RECORDS, 0.5), "is half-written or damaged"),
    ("parquet", cut(TASKS, 0.5), "tasks.parquet is half-written or damaged"),
    (
        "parquet",
        edit(TASKS, "task_index", lambda v: None),
        "lacks the column task_index",
    ),
    ("parquet", rows(RECORDS, [0, 2]), "episode 1 is missing, of the 3"),
    ("parquet", rows(RECORDS, [0, 1, 1, 2]), "episode 1 is listed twice"),
    ("parquet", edit(RECORDS, "length", at(1, 4)), "episode 1: its length=4 frames"),
    (
        "parquet",
        edit(RECORDS, "dataset_from_index", at(1, 4)),
        "episode 1: its length=3 frames must be the rows from 5 on, got",
    ),
    (
        "parquet",
        edit(RECORDS, "length", at(1, None)),
        "episode 1: length must be a whole",
    ),
    ("parquet", edit(RECORDS, "episode_index", at(1, None)), "must be a whole number"),
    (
        "parquet",
        edit(RECORDS, "data/file_index", at(2, 5)),
        "file-005.parquet is missing",
    ),
    (
        "video",
        edit(RECORDS, f"{KEY}/from_timestamp", at(1, 0.2)),
        "episode 1: from_timestamp=0.2 in",
    ),
    (
        "video",
        lambda root: [
            change(root / RECORDS, f"{KEY}/{name}", at(1, value))
            for name, value in (("from_timestamp", 0.3), ("to_timestamp", 0.6))
        ],
        "episode 1: from_timestamp=0.3 in",
    ),
    (
        "video",
        lambda root: [
            change(root / RECORDS, f"{KEY}/{name}", lambda v: [x + 0.1 for x in v])
            for name in ("from_timestamp", "to_timestamp")
        ],
        "file-000.mp4: episode 2: its frames end at 1.4 s, after 6 of the 7 frames",
    ),
    (
        "video",
        lambda root: [
            change(root / RECORDS, f"{KEY}/{name}", lambda v: [x + 0.05 for x in v])
            for name in ("from_timestamp", "to_timestamp")
        ],
        "episode 0: its frames must be 1 / 10 s apart from 0.05 s on, got one at",
    ),
    (
        "video",
        edit(RECORDS, f"{KEY}/to_timestamp", at(1, 0.7)),
        "episode 1: its length",
    ),
    (
        "video",
        edit(RECORDS, f"{KEY}/to_timestamp", at(1, np.nan)),
        "finite number of sec",
    ),
    ("video", edit(RECORDS, f"{KEY}/file_index", at(1, -1)), "must be a whole number"),
    (
        "video",
        edit(RECORDS, f"{KEY}/file_index", lambda v: None),
        "lacks the column vid",
    ),
    ("video", edit(RECORDS, f"{KEY}/file_index", at(2, 4)), "episode 2: "),
    ("video", gone(VIDEO), "episode 0: "),
    ("video", cut(VIDEO, 0.5), "episode 0: it is half-written or damaged"),
    (
        "video",
        info(f"features/{CAMERA}/shape", [64, 48, 3]),
        "must have (64, 48) pixels",
    ),
    (
        "parquet",
        info("codebase_version", "v2.1"),
        "convert_dataset_v21_to_v30 --repo-id=",
    ),
    (
        "parquet",
        info("codebase_version", "v4.0"),
        "codebase_version must be 'v3.0', got",
    ),
    ("parquet", info("features/action", ...), "feature 'action' is missing, it has"),
    (
        "parquet",
        info("features/action/shape", [2, 2]),
        "must be a vector of numbers, got",
    ),
    (
        "parquet",
        info("features/action/dtype", "string"),
        "vector of numbers, got string",
    ),
    ("parquet", info("features/action/shape", [3]), "action must have 3 numbers a row"),
    ("parquet", info("features", []), "features must be an object, got []"),
    ("parquet", info(f"features/{CAMERA}/shape", [1, 32, 48]), "no feature holds RGB"),
    (
        "parquet",
        info(f"features/{CAMERA}/info", {"is_depth_map": True}),
        "no feature h",
    ),
    ("parquet", info("fps", 0), "fps must be a number above 0, got 0"),
    ("parquet", info("fps", "ten"), "fps must be a number above 0, got 'ten'"),
    ("parquet", info("fps", True), "fps must be a number above 0, got True"),
    ("parquet", info("total_episodes", 2), "total_episodes must be 3, the episodes li"),
    ("parquet", info("total_episodes", 4), "episode 3 is missing, of the 4"),
    ("parquet", info("total_episodes", 0), "has no episode: record some"),
    ("parquet", info("total_frames", 16), "total_frames must be 15"),
    ("parquet", info("total_frames", "15"), "total_frames must be a whole number"),
    (
        "parquet",
        info("data_path", "../{file_index}"),
        "must stay in the dataset's folder",
    ),
    (
        "parquet",
        info("data_path", "{name}.parquet"),
        "a path may name chunk_index, file",
    ),
    ("parquet", info("data_path", 3), "data_path must be a text, got 3"),
]


@pytest.mark.parametrize(("kind", "damage", "message"), DAMAGE)
def test_what_is_damaged_is_named(kind, damage, message, copy):
    root = copy(kind)
    damage(root)
    assert message in refused(root)


def test_all_damaged_episodes_are_kept(copy):
    root = copy("parquet")
    change(root / DATA, "action", lambda v: at(6, [0, np.nan])(at(1, [0, np.nan])(v)))
    with pytest.raises(DamagedEpisodes) as caught:
        open_dataset(root)
    assert [problem[:9] for problem in caught.value.problems] == [
        "episode 0",
        "episode 1",
    ]
    assert f"(and 1 more, `worldmodel inspect data={root}` lists" in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_torn_info_is_one_line(content, copy):
    root = copy("parquet")
    (root / INFO).write_text(content)
    assert INFO in refused(root)


def test_a_depth_camera_is_refused_by_name(copy):
    root = copy("parquet")
    depth = {"dtype": "video", "shape": [32, 48, 3], "info": {"is_depth_map": True}}
    change_info(root, "features/observation.images.depth", depth)
    open_dataset(root)  # one camera of the two has colour
    assert "must hold RGB pictures, got depth in video of" in (
        refused(root, View("observation.images.depth"))
    )
    assert "must hold RGB pictures, got float32 of shape [2]" in (
        refused(root, View("action"))
    )


def test_what_is_not_used_may_be_anything(copy):
    root = copy("parquet")
    for place, value in enumerate([None, 3, [], {"dtype": 1, "shape": "x"}]):
        change_info(root, f"features/observation.extra_{place}", value)
    assert len(open_dataset(root)) == 3

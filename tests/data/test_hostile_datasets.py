"""Dataset folders that somebody changed: refused, with the file and the episode."""

# Wrong arguments are what is tried here.
# pyright: reportArgumentType=false

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.lerobot_like import change_info
from worldmodel.data import DatasetError, FrameCache, LeRobotDataset
from worldmodel.data.layout import INFO, STATS, TASKS

DATA = "data/chunk-000/file-000.parquet"
RECORDS = "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "play")


def change_column(file: Path, key: str, change: Callable, place: int = 3) -> None:
    """Changes a column of one row group; the others stay as they are."""
    whole = pq.ParquetFile(file)
    tables = [whole.read_row_group(i) for i in range(whole.num_row_groups)]
    table = tables[min(place, len(tables) - 1)]
    at = table.column_names.index(key)
    column = change(table[key].combine_chunks())
    schema = table.schema.set(at, pa.field(key, column.type))
    changed = pa.table([*table.columns[:at], column, *table.columns[at + 1 :]], schema)
    tables[min(place, len(tables) - 1)] = changed
    with pq.ParquetWriter(file, tables[0].schema) as writer:
        for one in tables:
            writer.write_table(one.cast(tables[0].schema))


def read_all(root: Path) -> None:
    dataset = LeRobotDataset.open(root)
    for index in dataset.indices:
        dataset.episode(index)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("fps", 0, "fps must be a whole number of at least 1, got 0"),
        ("fps", -1, "fps must be a whole number of at least 1, got -1"),
        ("fps", "five", "fps must be a whole number of at least 1, got 'five'"),
        ("fps", True, "fps must be a whole number of at least 1, got True"),
        ("fps", 5.0, "fps must be a whole number of at least 1, got 5.0"),
        ("fps", ..., "fps must be a whole number of at least 1, got None"),
        ("fps", 60, "fps=60 must be the rate of its actions, worldmodel.action_spec"),
        ("worldmodel/action_spec/rate_hz", 10.0, "fps=5 must be the rate of its act"),
        ("worldmodel/action_spec/rate_hz", 1e999, "holds Infinity"),
        ("worldmodel", None, "worldmodel must be an object, got None"),
        ("total_episodes", "12", "total_episodes must be a whole number in"),
        ("total_episodes", 11.5, "total_episodes must be a whole number in"),
        ("total_episodes", 10**12, "total_episodes must be a whole number in"),
        ("total_episodes", 46, "must list the episodes 0 to 45"),
        ("total_episodes", 2**31, "must list the episodes 0 to"),
        ("total_frames", 7, "total_frames must be 270, the frames of all 45 episodes"),
        ("total_frames", -1, "total_frames must be a whole number in"),
        ("total_tasks", 3, "must list the tasks 0 to 2"),
        ("features/action/shape", [96.5], "features.action.shape must be 1 whole num"),
        ("features/action/shape", [], "features.action.shape must be 1 whole num"),
        ("features/observation.images.left/shape", [0, 16, 3], "must be 3 whole num"),
        ("features/observation.images.left/shape", [1e9, 16, 3], "must be 3 whole"),
        ("features/observation.images.left/shape", 5, "must be 3 whole numbers"),
        ("features/observation.images.left/dtype", "video", "stored as images in par"),
        ("features/observation.state/names", None, "names must be 3 texts, got None"),
        ("features/observation.state/names", ["x"], "names must be 3 texts, got ['x']"),
        ("features/sim_state/shape", [10**6], "the column sim_state must be"),
        ("features/sim_state/shape", [5], "the column sim_state must be fixed_size_"),
    ],
)
def test_an_info_that_contradicts_itself_is_refused(
    copy: Path, path: str, value: object, message: str
) -> None:
    change_info(copy, path, value)
    with pytest.raises(DatasetError, match=re.escape(message)) as caught:
        LeRobotDataset.open(copy)
    assert str(copy) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("null", "must hold a JSON object"),
        ("[" * 100_000, "is nested too deep"),
        ("\x00", "is no valid JSON"),
    ],
)
def test_an_info_that_is_no_object_is_refused(
    copy: Path, text: str, message: str
) -> None:
    (copy / INFO).write_text(text)
    with pytest.raises(DatasetError, match=f"{INFO} {message}"):
        LeRobotDataset.open(copy)


def test_a_size_that_the_pictures_lack_is_refused_before_room_is_made(
    copy: Path,
) -> None:
    change_info(copy, "features/observation.images.left/shape", [10**6, 10**6, 3])
    dataset = LeRobotDataset.open(copy)
    with pytest.raises(DatasetError, match=r"episode 0: frames must be RGB of 1000000"):
        FrameCache.open(dataset)


def shuffled(column: pa.Array) -> pa.Array:
    return pa.array(column.to_pylist()[::-1], column.type)


def scaled(factor: float) -> Callable[[pa.Array], pa.Array]:
    return lambda column: pa.array(
        [value * factor for value in column.to_pylist()], column.type
    )


def first_is(value: object) -> Callable[[pa.Array], pa.Array]:
    return lambda column: pa.array([value, *column.to_pylist()[1:]], column.type)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("timestamp", first_is(float("nan")), "timestamp must be frame_index / fps=5"),
        ("timestamp", shuffled, "timestamp must be frame_index / fps=5, so 0 s in row"),
        ("timestamp", scaled(4.0), "timestamp must be frame_index / fps=5, so 0.2 s"),
        ("timestamp", first_is(None), "timestamp must not be null, 1 are"),
        ("frame_index", shuffled, "frame_index must be 0 in row 0, got "),
        ("frame_index", first_is(7), "frame_index must be 0 in row 0, got 7"),
        ("episode_index", first_is(9), "episode_index must be 3 in row 0, got 9"),
        ("task_index", first_is(1), "task_index must be 0 in row 0, got 1"),
        ("observation.images.left", first_is(None), "must not be null"),
        (
            "observation.images.left",
            first_is({"bytes": None, "path": "x"}),
            "frame 0 must have bytes, got null",
        ),
        (
            "observation.images.left",
            first_is({"bytes": b"\x89PNG\r\n\x1a\n", "path": "x"}),
            "is not what was recorded",
        ),
        ("action", first_is([9.0, 9.0]), "is not what was recorded"),
        ("action", first_is([None, 0.0]), "is not what was recorded"),
    ],
)
def test_rows_that_are_not_the_episode_are_refused_with_its_number(
    copy: Path, key: str, change: Callable, message: str
) -> None:
    tasks = pq.read_table(copy / TASKS).to_pydict()
    place = next(i for i in range(3, 9) if i % 4)  # of the task "play"
    assert tasks["task"][1] == "play"
    if key == "task_index":
        message, change = "task_index must be 1 in row 0, got 0", first_is(0)
    change_column(copy / DATA, key, change, place)
    with pytest.raises(DatasetError, match="episode 3") as caught:
        read_all(copy)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("length", first_is(10**12), "episode 0: its length=1000000000000 frames must"),
        ("length", first_is(-4), "episode 0: length must be a whole number"),
        ("length", first_is(None), "episode 0: length must be a whole number"),
        ("dataset_from_index", first_is(3), "got dataset_from_index=3"),
        (
            "data/file_index",
            first_is(77),
            "file-077.parquet, which holds episode 0, is missing",
        ),
        ("episode_index", first_is(None), "episode_index must not be null"),
        ("episode_index", first_is(4), "must list the episodes 0 to 44"),
        ("tasks", first_is([]), "episode 0 has a damaged record"),
        ("tasks", first_is(["dance"]), "episode 0 has the task 'dance', which meta/"),
        ("worldmodel/notes", first_is("[" * 100_000), "episode 0 has a damaged record"),
        ("worldmodel/digest", first_is("0"), "is not what was recorded"),
    ],
)
def test_records_that_contradict_the_rows_are_refused(
    copy: Path, key: str, change: Callable, message: str
) -> None:
    change_column(copy / RECORDS, key, change)
    with pytest.raises(DatasetError, match=re.escape(message)):
        read_all(copy)


def test_the_lengths_of_rows_and_records_agree(copy: Path) -> None:
    whole = pq.ParquetFile(copy / DATA)
    tables = [whole.read_row_group(i) for i in range(whole.num_row_groups)]
    with pq.ParquetWriter(copy / DATA, tables[0].schema) as writer:
        for place, table in enumerate(tables):
            writer.write_table(table.slice(0, len(table) - (place == 5)))
    with pytest.raises(DatasetError, match=r"episode 5 must have length=4 rows, got 3"):
        LeRobotDataset.open(copy)


@pytest.mark.parametrize("key", ["frame_index", "action", "observation.images.left"])
def test_a_column_of_another_type_is_refused(copy: Path, key: str) -> None:
    def texts(column: pa.Array) -> pa.Array:
        return pa.array(["x"] * len(column))

    table = pq.read_table(copy / DATA)
    at = table.column_names.index(key)
    table = table.set_column(at, key, texts(table[key].combine_chunks()))
    pq.write_table(table, copy / DATA)
    with pytest.raises(DatasetError, match=f"the column {key} must be .* got string"):
        LeRobotDataset.open(copy)


def test_tasks_are_needed(copy: Path) -> None:
    (copy / TASKS).unlink()
    with pytest.raises(DatasetError, match=f"{TASKS} is missing: restore it"):
        LeRobotDataset.open(copy)


def test_tasks_are_looked_up_by_their_index(copy: Path) -> None:
    table = pq.read_table(copy / TASKS)
    reverse = table.take(list(range(len(table)))[::-1])
    reverse = reverse.rename_columns(["task_index", "__index_level_0__"])
    wanted = [LeRobotDataset.open(copy).episode(0).frames.tobytes()]
    pq.write_table(reverse, copy / TASKS)
    read_all(copy)
    assert [LeRobotDataset.open(copy).episode(0).frames.tobytes()] == wanted


@pytest.mark.parametrize(
    "text",
    ["null", "no JSON", "{}", "[" * 100_000, '{"action": 3}', None],
)
def test_statistics_that_are_garbage_are_not_used_and_said_to_be(
    copy: Path, folder: Path, text: str | None
) -> None:
    wanted = LeRobotDataset.open(folder).statistics()
    (copy / STATS).unlink() if text is None else (copy / STATS).write_text(text)
    with pytest.warns(UserWarning, match=r"stats.json is damaged .* are computed from"):
        dataset = LeRobotDataset.open(copy)
    for key, feature in dataset.statistics().items():
        assert np.array_equal(feature.mean, wanted[key].mean)


@pytest.mark.parametrize("scale", [float("nan"), None, "x"])
def test_statistics_of_one_feature_that_are_garbage_are_said_to_be(
    copy: Path, scale: object
) -> None:
    stats = json.loads((copy / STATS).read_text())
    stats["action"]["std"] = [scale, 1.0]
    (copy / STATS).write_text(json.dumps(stats))
    with pytest.warns(UserWarning, match=r"stats.json is damaged"):
        LeRobotDataset.open(copy)


@pytest.mark.parametrize("name", ["frames", "offsets", "episodes", "actions"])
@pytest.mark.parametrize("content", [b"garbage", None])
def test_a_damaged_cache_says_to_delete_it(
    copy: Path, name: str, content: bytes | None
) -> None:
    dataset = LeRobotDataset.open(copy)
    file = FrameCache.open(dataset).path / f"{name}.npy"
    size = file.stat().st_size
    if content is None:
        np.save(file, np.zeros(3))
    else:
        file.write_bytes(content)
    header = json.loads((file.parent / "cache.json").read_text())
    header["sizes"][file.name] = file.stat().st_size
    (file.parent / "cache.json").write_text(json.dumps(header))
    with pytest.raises(DatasetError, match=r"is damaged .*: delete it, the next run"):
        FrameCache.open(dataset)
    assert size

"""The dataset against LeRobot's format v3.0, read with nothing but its own files."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.data.synthetic import episode
from worldmodel.data.table import rows

COUNTERS = ["timestamp", "frame_index", "episode_index", "index", "task_index"]
RECORDED = ["observation.images.left", "observation.state", "action", "sim_state"]


def _info(folder: Path) -> dict:
    return json.loads((folder / "meta/info.json").read_text())


def test_info_has_the_keys_of_the_format(folder: Path) -> None:
    info = _info(folder)
    assert info["codebase_version"] == "v3.0"
    assert info["robot_type"] == "panda"
    assert info["fps"] == 5
    assert isinstance(info["fps"], int)
    assert info["total_episodes"] == 45
    assert info["total_frames"] == sum(len(episode(i)) for i in range(45))
    assert info["total_tasks"] == 2
    assert info["splits"] == {"train": "0:45"}
    assert info["chunks_size"] == 1000
    assert info["data_files_size_in_mb"] > 0
    assert info["video_path"] is None
    assert info["data_path"].format(chunk_index=1, file_index=23) == (
        "data/chunk-001/file-023.parquet"
    )


def test_features_have_dtype_shape_and_names(folder: Path) -> None:
    features = _info(folder)["features"]
    assert set(features) == {*COUNTERS, *RECORDED}
    assert features["observation.images.left"] == {
        "dtype": "image",
        "shape": [12, 16, 3],
        "names": ["height", "width", "channels"],
    }
    assert features["action"] == {
        "dtype": "float32",
        "shape": [2],
        "names": ["dx", "grip"],
    }
    assert features["sim_state"]["dtype"] == "float64"
    assert features["timestamp"] == {"dtype": "float32", "shape": [1], "names": None}


def test_data_files_have_the_types_of_the_features(folder: Path) -> None:
    schema = pq.read_schema(folder / "data/chunk-000/file-000.parquet")
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert types == {
        "observation.images.left": "struct<bytes: binary, path: string>",
        "observation.state": "fixed_size_list<element: float>[3]",
        "action": "fixed_size_list<element: float>[2]",
        "sim_state": "fixed_size_list<element: double>[4]",
        "timestamp": "float",
        **dict.fromkeys(COUNTERS[1:], "int64"),
    }
    hints = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert hints["observation.images.left"] == {"_type": "Image"}
    assert hints["action"]["length"] == 2


def test_counters_count(folder: Path) -> None:
    table = pq.read_table(folder / "data/chunk-000/file-000.parquet")
    lengths = [len(episode(i)) for i in range(45)]
    assert np.array_equal(rows(table, "index"), np.arange(sum(lengths)))
    assert np.array_equal(rows(table, "episode_index"), np.repeat(range(45), lengths))
    steps = np.concatenate([np.arange(n) for n in lengths])
    assert np.array_equal(rows(table, "frame_index"), steps)
    assert np.array_equal(rows(table, "timestamp"), (steps / 5).astype(np.float32))


def test_episode_records_say_where_the_rows_are(folder: Path) -> None:
    table = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet")
    data = pq.read_table(folder / "data/chunk-000/file-000.parquet")
    for row in table.to_pylist():
        first, end = row["dataset_from_index"], row["dataset_to_index"]
        assert end - first == row["length"] == len(episode(row["episode_index"]))
        assert set(rows(data.slice(first, end - first), "episode_index")) == {
            row["episode_index"]
        }
        assert row["tasks"] == [episode(row["episode_index"]).task]
        places = ("data/chunk_index", "data/file_index")
        assert all(
            row[name] == row[f"meta/episodes/{name[5:]}"] == 0 for name in places
        )


def test_each_feature_has_statistics_per_episode_and_over_all(folder: Path) -> None:
    stats = json.loads((folder / "meta/stats.json").read_text())
    assert set(stats) == {*COUNTERS, *RECORDED}
    actions = np.concatenate([episode(i).actions for i in range(45)]).astype(float)
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(axis=0))
    np.testing.assert_allclose(stats["action"]["std"], actions.std(axis=0))
    np.testing.assert_allclose(stats["action"]["max"], actions.max(axis=0))
    assert stats["action"]["count"] == [len(actions)]
    assert np.shape(stats["observation.images.left"]["std"]) == (3, 1, 1)
    records = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet")
    np.testing.assert_allclose(
        records["stats/action/min"][7].as_py(), episode(7).actions.min(axis=0)
    )


def test_tasks_are_an_index_for_pandas(folder: Path) -> None:
    table = pq.read_table(folder / "meta/tasks.parquet")
    assert table.to_pydict() == {
        "task_index": [0, 1],
        "task": ["push the cube", "play"],
    }
    pandas = json.loads(table.schema.metadata[b"pandas"])
    assert pandas["index_columns"] == ["task"]
    data = pq.read_table(folder / "data/chunk-000/file-000.parquet")
    played = rows(data, "episode_index") % 4 != 0
    assert np.array_equal(rows(data, "task_index"), played.astype(int))

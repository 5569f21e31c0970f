import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.data.synthetic import dataset_spec, episode, same
from worldmodel.data import (
    ACTION_KEY,
    DatasetError,
    DatasetWriter,
    LeRobotDataset,
    stage_episode,
)

INFO = "meta/info.json"
DATA = "data/chunk-000/file-000.parquet"
RECORDS = "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "play"))


def test_what_was_written_is_read(dataset: LeRobotDataset) -> None:
    assert dataset.indices == tuple(range(45))
    assert dataset.frames == sum(len(episode(i)) for i in range(45))
    assert dataset.spec == dataset_spec()
    for index in (0, 17, 44):
        assert same(dataset.episode(index), episode(index))


def test_statistics_are_those_of_the_chosen_episodes(dataset: LeRobotDataset) -> None:
    found = dataset.statistics([3, 9, 12])[ACTION_KEY]
    actions = np.concatenate([episode(i).actions for i in (3, 9, 12)]).astype(float)
    np.testing.assert_allclose(found.mean, actions.mean(axis=0))
    np.testing.assert_allclose(found.std, actions.std(axis=0))
    assert found.count == len(actions)


def test_statistics_of_all_are_those_on_disk(dataset: LeRobotDataset) -> None:
    written = json.loads((dataset.path / "meta/stats.json").read_text())
    for key, feature in dataset.statistics().items():
        assert feature.to_json() == written[key]


def test_staged_episodes_have_statistics(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "play", dataset_spec()) as writer:
        writer.add(0, episode(0))
        stage_episode(tmp_path / "play", dataset_spec(), 1, episode(1))
        staged = LeRobotDataset.open(tmp_path / "play").statistics()
    committed = LeRobotDataset.open(tmp_path / "play").statistics()
    assert staged[ACTION_KEY].to_json() == committed[ACTION_KEY].to_json()


def test_the_fingerprint_is_of_the_content(tmp_path: Path, folder: Path) -> None:
    prints = []
    with DatasetWriter(tmp_path / "play", dataset_spec()) as writer:
        for index in range(2):
            stage_episode(tmp_path / "play", dataset_spec(), index, episode(index))
            prints.append(LeRobotDataset.open(tmp_path / "play").fingerprint())
            writer.commit()
            prints.append(LeRobotDataset.open(tmp_path / "play").fingerprint())
    assert prints[0] == prints[1] != prints[2] == prints[3]


def test_an_unknown_episode_is_an_error(dataset: LeRobotDataset) -> None:
    with pytest.raises(
        DatasetError, match="no episode 45: it has 45 of them, from 0 to"
    ):
        dataset.episode(45)


def test_a_missing_dataset_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no dataset at .*gone.*worldmodel collect"):
        LeRobotDataset.open(tmp_path / "gone")


def test_a_folder_without_info_is_not_a_dataset(copy: Path) -> None:
    (copy / INFO).unlink()
    with pytest.raises(
        DatasetError, match=r"only a part of one: meta/info\.json is miss"
    ):
        LeRobotDataset.open(copy)


def test_a_dataset_without_an_episode_says_to_go_on(tmp_path: Path) -> None:
    DatasetWriter(tmp_path / "play", dataset_spec()).close()
    with pytest.raises(DatasetError, match="no finished episode yet: run `worldmodel"):
        LeRobotDataset.open(tmp_path / "play")


@pytest.mark.parametrize("name", [INFO, DATA, RECORDS])
def test_a_half_written_file_is_named(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetError, match=f"{name}.*(damaged|no valid JSON)"):
        LeRobotDataset.open(copy)


@pytest.mark.parametrize("name", [DATA, RECORDS])
def test_a_lost_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(DatasetError, match="data/chunk-000/file-000|meta/episodes"):
        LeRobotDataset.open(copy)


def test_a_data_file_with_too_few_episodes_is_named(copy: Path) -> None:
    pq.write_table(pq.read_table(copy / DATA), copy / DATA)  # all in one row group
    with pytest.raises(DatasetError, match=f"{DATA} holds 1 of its 45 episodes"):
        LeRobotDataset.open(copy)


def test_a_changed_pixel_is_noticed(copy: Path) -> None:
    content = bytearray((copy / DATA).read_bytes())
    place = content.index(b"IDAT") + 30
    content[place] ^= 1
    (copy / DATA).write_bytes(content)
    dataset = LeRobotDataset.open(copy)
    with pytest.raises(DatasetError, match=f"episode 0 .*{DATA}.*"):
        dataset.episode(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v2.1"}, "has codebase_version 'v2.1', expected 'v3.0'"),
        ({"worldmodel": {"format_version": 99}}, "has format_version 99"),
        ({"features": {}}, "feature 'observation.images.left' is missing"),
        ({"total_episodes": None}, "total_episodes must be a whole number"),
        ({"features": None}, "features must be an object"),
    ],
)
def test_an_info_that_does_not_fit_is_named(
    copy: Path, change: dict, message: str
) -> None:
    info = json.loads((copy / INFO).read_text())
    (copy / INFO).write_text(json.dumps({**info, **change}))
    with pytest.raises(DatasetError, match=f"{INFO}.*{message}"):
        LeRobotDataset.open(copy)


def test_a_dataset_from_elsewhere_is_refused(copy: Path) -> None:
    info = json.loads((copy / INFO).read_text())
    del info["worldmodel"]
    (copy / INFO).write_text(json.dumps(info))
    with pytest.raises(DatasetError, match="no 'worldmodel' block"):
        LeRobotDataset.open(copy)

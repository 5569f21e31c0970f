from pathlib import Path

import pytest

from tests.data.synthetic import dataset_spec, episode
from worldmodel.data import DatasetWriter, LeRobotDataset, stage_episode


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of 45 episodes; tests only read it."""
    root = tmp_path_factory.mktemp("datasets") / "play"
    with DatasetWriter(root, dataset_spec()) as writer:
        for index in writer.missing(45):
            stage_episode(root, dataset_spec(), index, episode(index))
    return root


@pytest.fixture(scope="package")
def dataset(folder: Path) -> LeRobotDataset:
    return LeRobotDataset.open(folder)

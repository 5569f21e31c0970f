from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.synthetic import HEIGHT, WIDTH, episode
from worldmodel.data import DatasetError, LeRobotDataset, contact_sheet


def _holds(sheet: np.ndarray, frame: np.ndarray) -> bool:
    spots = np.argwhere((sheet == frame[0, 0]).all(axis=-1))
    return any(
        np.array_equal(sheet[y : y + HEIGHT, x : x + WIDTH], frame) for y, x in spots
    )


def test_a_sheet_shows_first_and_last_frames(
    dataset: LeRobotDataset, tmp_path: Path
) -> None:
    path = contact_sheet(dataset, tmp_path / "sheet.png", rows=3, columns=4)
    sheet = np.asarray(Image.open(path))
    for index in (0, 22, 44):
        assert _holds(sheet, episode(index).frames[0])
        assert _holds(sheet, episode(index).frames[-1])
    assert not _holds(sheet, episode(1).frames[0])


def test_episodes_can_be_named(dataset: LeRobotDataset, tmp_path: Path) -> None:
    path = contact_sheet(dataset, tmp_path / "sheet.png", columns=50, episodes=[7])
    sheet = np.asarray(Image.open(path))
    assert all(_holds(sheet, frame) for frame in episode(7).frames)


def test_a_sheet_has_at_least_one_row(dataset: LeRobotDataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="rows must be at least 1, got 0"):
        contact_sheet(dataset, tmp_path / "sheet.png", rows=0)

"""Kinds of datasets that the real client wrote for `benchmarks.foreign_datasets`."""

from pathlib import Path

import pytest

from benchmarks.foreign_datasets import wrong_frame
from benchmarks.foreign_kinds import KINDS, TOP, Kind
from tests.data.lerobot_like import REAL
from worldmodel.data import FrameCache, View, Windows, open_dataset

SHIPPED = ("short_episodes", "other_columns", "channels_first")


def kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def test_kinds_have_names_of_their_own():
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert len(KINDS) >= 12


@pytest.mark.parametrize("name", SHIPPED)
def test_every_frame_is_the_one_that_was_recorded(name):
    assert wrong_frame(kind(name), REAL / name) == ""


def test_a_frame_that_is_not_the_recorded_one_is_told(monkeypatch):
    monkeypatch.setattr(
        "benchmarks.foreign_datasets.colour",
        lambda camera, episode, step: (episode * 20 + 30, step * 8 + 38, 40),
    )
    told = wrong_frame(kind("other_columns"), REAL / "other_columns")
    assert told == f"{TOP}: episode 0, frame 0: another colour"


def test_columns_that_nobody_asked_for_are_left_alone(tmp_path: Path):
    dataset = open_dataset(REAL / "other_columns")
    assert dataset.spec.proprio_names == ("motor_0", "motor_1")
    assert dataset.spec.action_spec.names == ("joint_0", "joint_1")
    assert FrameCache.open(dataset, tmp_path / "cache").proprio.shape == (160, 2)


def test_episodes_of_one_frame_make_no_window(tmp_path: Path):
    dataset = open_dataset(REAL / "short_episodes")
    cache = FrameCache.open(dataset, tmp_path / "cache")
    assert cache.lengths.tolist() == [1, 2, 1, 30, 2, 12, 1, 25]
    windows = Windows(cache, "train", length=10)
    assert set(windows.at(windows.spread(len(windows))).episode.tolist()) <= {3, 5, 7}


def test_channels_may_come_first():
    dataset = open_dataset(REAL / "channels_first", View(height=48, width=32))
    assert dataset.episode(0).frames.shape == (20, 48, 32, 3)

"""Episodes of a scripted policy of theirs, as ours and as their training file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import data, recording, sources
from benchmarks.peers.hdf5 import columns_of
from benchmarks.peers.recording import episode_of, record
from worldmodel.data import LeRobotDataset, open_dataset

SMALL = sources.Source(
    env="fake/Env-v0",
    policy="types:SimpleNamespace",
    proprio="proprio",
    proprio_names=("x",),
    state=("qpos", "qvel"),
    state_size=3,
    action_names=("dx", "dy"),
    rate_hz=10.0,
    steps=4,
    side=16,
)


def columns(length: int, value: int) -> dict[str, list[Any]]:
    """What `World.collect` hands over: the last row has the action of before it."""
    rows = range(length)
    return {
        "pixels": [np.full((16, 16, 3), value + i, np.uint8) for i in rows],
        "action": [np.full(2, i / 10, np.float32) for i in [*rows[1:], 0]],
        "proprio": [np.full(1, i, np.float64) for i in rows],
        "qpos": [np.full(2, i, np.float64) for i in rows],
        "qvel": [np.full(1, -i, np.float64) for i in rows],
        "ignored": [np.full(1, np.nan) for _ in rows],
    }


class World:
    """A fake of theirs that notes seeds; its first episode is solved at once."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def set_policy(self, policy: SimpleNamespace) -> None:
        self.policy = policy

    def collect(self, writer: Any, episodes: int, seed: int, progress: bool) -> None:
        self.seeds.append(seed)
        made = [columns(1 if i == 0 else 5, seed % 100 + i) for i in range(episodes)]
        with writer as opened:
            opened.write_episodes(iter(made))


def test_an_episode_has_the_action_of_each_row_and_no_last_moment() -> None:
    episode = episode_of(columns(5, 0), SMALL, {})
    assert len(episode) == 4
    assert episode.actions[:, 0] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert episode.sim_state.tolist() == [[i, i, -i] for i in range(4)]


def test_episodes_without_a_step_are_replaced_and_batches_have_seeds_apart() -> None:
    world = World()
    found = record(world, SMALL, 3)
    assert len(found) == SMALL.at_once
    assert all(len(episode) == 4 for episode in found)
    assert len(world.seeds) == 2  # the first gave nine
    assert world.policy.seed == world.seeds[0]
    record(world, SMALL, 4)
    assert world.seeds[2] - world.seeds[0] > 2 * SMALL.at_once * len(world.seeds)


def test_data_is_made_once_and_goes_on(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds: list[World] = []

    def open_world(source: sources.Source) -> World:
        worlds.append(World())
        return worlds[-1]

    monkeypatch.setattr(data, "open_world", open_world)
    data.collect(SMALL, tmp_path, 10)
    data.collect(SMALL, tmp_path, 20)
    data.collect(SMALL, tmp_path, 20)
    assert [len(world.seeds) for world in worlds] == [2, 2]  # none for what is there
    data.as_others_see(tmp_path / "recorded", tmp_path / "lerobot")
    own = LeRobotDataset.open(tmp_path / "recorded")
    other = open_dataset(tmp_path / "lerobot")
    assert not isinstance(other, LeRobotDataset)
    assert (len(own), len(other), other.frames) == (20, 20, 80)
    ours, theirs = own.episode(13), other.episode(13)
    assert np.array_equal(ours.frames, theirs.frames)
    assert np.array_equal(ours.actions, theirs.actions)


def test_episodes_must_fill_whole_batches(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="multiple of 10, got 15"):
        data.collect(SMALL, tmp_path, 15)


def test_their_columns_tell_episode_and_step() -> None:
    found = columns_of(episode_of(columns(5, 0), SMALL, {}), 7)
    assert found["step_idx"].tolist() == [0, 1, 2, 3]
    assert found["ep_idx"].tolist() == [7] * 4
    assert found["state"].shape == (4, 3)
    parts = columns_of(episode_of(columns(5, 0), SMALL, {}), 7, {"qvel": slice(2, 3)})
    assert parts["qvel"].tolist() == [[0], [-1], [-2], [-3]]
    assert set(parts) - set(found) == {"qvel"}


def test_the_spec_tells_what_determines_an_episode() -> None:
    told = recording.dataset_spec(sources.source("pusht"))
    assert told.collection["env"] == "swm/PushT-v1"
    assert told.action_spec.scales == (1.0, 1.0)
    with pytest.raises(
        ValueError, match="source must be one of pusht, cube, got 'cube2'"
    ):
        sources.source("cube2")

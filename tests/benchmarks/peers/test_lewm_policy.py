"""LeWM asked as our runner asks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import lewm
from benchmarks.peers.lewm import LeWMPolicy, load_lewm


class Theirs:
    """A fake policy of theirs: it wants far more than actions can be."""

    def __init__(self, seed: int) -> None:
        self.seed, self.asked = seed, 0

    def set_env(self, env: Any) -> None:
        assert env.action_space.shape == (env.num_envs, 2)
        self.envs = env.num_envs

    def get_action(self, info: dict[str, np.ndarray]) -> np.ndarray:
        assert info["pixels"].shape == info["goal"].shape == (self.envs, 1, 4, 4, 3)
        self.asked += 1
        sys.stdout.write("what their solver prints")
        return np.full((self.envs, 2), 0.1 * self.asked * self.seed)


def test_every_group_gets_a_new_policy_and_actions_are_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[Theirs] = []

    def peer_policy(model: object, data: Path, seed: int) -> Theirs:
        made.append(Theirs(seed))
        return made[-1]

    monkeypatch.setattr(lewm, "peer_policy", peer_policy)
    policy = LeWMPolicy(object(), Path("train.h5"), seed=1, action_size=2)
    pictures = np.zeros((3, 4, 4, 3), np.uint8)
    proprio = np.zeros((3, 0), np.float32)
    policy.start(pictures, np.array([4, 5, 6]))
    assert np.allclose(policy.act(pictures, proprio).actions, 0.5)
    assert np.allclose(policy.act(pictures, proprio).actions, 1.0)
    assert np.allclose(policy.act(pictures, proprio).actions, 1.0)
    policy.start(pictures[:1], np.array([1]))
    assert np.allclose(policy.act(pictures[:1], proprio[:1]).actions, 0.2)
    assert [one.seed for one in made] == [5, 2]
    assert capsys.readouterr().out == ""


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold config.json and weights_epoch_"):
        load_lewm(tmp_path)


def test_weights_that_are_named_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "weights_epoch_1.pt").touch()
    with pytest.raises(ValueError, match="must hold config.json and weights_epoch_3"):
        load_lewm(tmp_path / "weights_epoch_3.pt")

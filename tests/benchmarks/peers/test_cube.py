"""Their cube env, with every draw of an episode from its seed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from benchmarks.peers.cube import DRAWN, SeededCube
from benchmarks.peers.sources import source


class Drawn:
    """A fake of their spaces that keep a value."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng()
        self.value = np.zeros(2)


class Space(dict[str, Any]):
    """A fake of their spaces of spaces."""

    def seed(self, seed: int | None) -> None:
        self["cube"] = {name.split(".")[1]: Drawn() for name in DRAWN}
        for place, space in enumerate(self["cube"].values()):
            space.generator = np.random.default_rng(seed and seed + place)

    def reset(self) -> None:
        """Has nothing to forget."""

    def update(self, names: tuple[str, ...]) -> None:
        for name in names:
            space = self["cube"][name.split(".")[1]]
            space.value = space.generator.uniform(size=2)


class Env(gym.Env):
    """A fake of theirs, which takes no notice of the seed; tells what it is given."""

    observation_space = spaces.Box(0, 1, (1,))
    action_space = spaces.Box(-1, 1, (1,))

    def __init__(self) -> None:
        self.variation_space = Space()

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset()
        self.variation_space.seed(None)
        self.variation_space.update(DRAWN)
        afterwards = np.random.uniform()  # noqa: NPY002 (theirs)
        yaw = self.np_random.uniform()
        return np.zeros(1), {**options, "afterwards": afterwards, "yaw": yaw}

    def step(self, action: Any) -> Any:
        return np.zeros(1), 0.0, False, False, {"taken": action}

    def modify_mjcf_model(self, scene: Any) -> Any:
        return scene

    def compute_ob_info(self) -> dict[str, Any]:
        return {
            "proprio/effector_yaw": np.array([np.pi]),
            "proprio/gripper_opening": np.array([0.5]),
            "proprio/effector_pos": np.array([0.1, 0.2, 0.3]),
        }


def begun(seed: int) -> dict[str, Any]:
    _, info = SeededCube(Env()).reset(seed=seed, options={"kept": 1})
    return info


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    first, again, other = begun(3), begun(3), begun(4)
    assert first["kept"] == 1
    assert list(first["variation_values"]) == list(DRAWN)
    for name, value in first["variation_values"].items():
        assert np.array_equal(value, again["variation_values"][name])
        assert not np.array_equal(value, other["variation_values"][name])
    for name in ("afterwards", "yaw"):
        assert first[name] == again[name] != other[name]


def test_the_hand_is_told_after_each_step() -> None:
    env = SeededCube(Env())
    _, info = env.reset(seed=0)
    *_, after = env.step(np.zeros(1))
    for told in (info, after):
        np.testing.assert_allclose(told["hand"], [0.1, 0.2, 0.3, -1, 0, 0.5], atol=1e-6)
    assert len(after["hand"]) == len(source("cube").proprio_names)


def test_parts_of_a_cube_state_are_within_it() -> None:
    cube = source("cube")
    assert max(part.stop for part in cube.parts.values()) == cube.state_size


def test_what_brings_back_a_start_is_in_the_training_file() -> None:
    for known in (source("cube"), source("pusht")):
        columns = {"state", "proprio", *known.parts}
        for step in known.restoring:
            for told in step["args"].values():
                if told.get("in_dataset", True):
                    assert told["value"].removeprefix("goal_") in columns

"""Our planner inside another project's `World`, which does not say what is new."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from gymnasium import spaces

from examples.stable_worldmodel_policy import StableWorldModelPolicy
from worldmodel.action_spec import ActionSpec
from worldmodel.evaluation.policy import Decision

SPEC = ActionSpec(("dx", "dy"), ("m", "m"), (2.0, 2.0), ("world", "world"), 10.0)
ENV = SimpleNamespace(
    num_envs=2, single_action_space=spaces.Box(-1.5, 1.5, (2,), np.float32)
)


class Counting:
    """Gives how often it was asked since its start, in tenths."""

    def __init__(self) -> None:
        self.starts: list[tuple[int, int]] = []
        self.asked = 0

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        assert goal_images.shape == (1, 4, 4, 3)
        self.starts.append((int(goal_images.max()), int(seeds[0])))
        self.asked = 0

    def act(self, pixels: np.ndarray, proprio: np.ndarray) -> Decision:
        assert pixels.shape == (1, 4, 4, 3)
        assert proprio.shape == (1, 3)
        self.asked += 1
        return Decision.of_actions(np.full((1, 2), self.asked / 10))


def policy() -> tuple[StableWorldModelPolicy, list[Counting]]:
    made: list[Counting] = []

    def make() -> Counting:
        made.append(Counting())
        return made[-1]

    found = StableWorldModelPolicy(make, SPEC, 4, 4, proprio="proprio")
    found.set_env(ENV)
    return found, made


def info(steps: list[int], goals: list[int], over: Any = (False, False)) -> dict:
    pictures = np.zeros((2, 1, 8, 8, 3), np.uint8)
    goal = pictures + np.array(goals, np.uint8).reshape(2, 1, 1, 1, 1)
    return {
        "pixels": pictures,
        "goal": goal,
        "proprio": np.zeros((2, 1, 3)),
        "step_idx": np.array(steps)[:, None],
        "terminated": np.array(over)[:, None],
    }


def test_an_episode_goes_on_and_actions_are_in_the_units_of_the_env() -> None:
    planner, made = policy()
    first = planner.get_action(info([0, 37], [1, 2]))  # a dataset's own step count
    second = planner.get_action(info([1, 1], [1, 2]))
    assert first.dtype == np.float32
    assert np.allclose(first, 0.2)
    assert np.allclose(second, 0.4)
    assert [counting.starts for counting in made] == [[(1, 0)], [(2, 1)]]
    for step in range(2, 9):
        last = planner.get_action(info([step, step], [1, 2]))
    assert np.allclose(last, 1.5)  # what the env takes


def test_an_env_that_starts_anew_or_has_another_goal_is_planned_for_anew() -> None:
    planner, made = policy()
    planner.get_action(info([0, 0], [1, 2]))
    planner.get_action(info([0, 1], [1, 3]))
    assert [counting.starts for counting in made] == [[(1, 0)] * 2, [(2, 1), (3, 1)]]


def test_set_policy_forgets_everything() -> None:
    planner, made = policy()
    planner.get_action(info([0, 0], [1, 2]))
    planner.set_env(ENV)
    planner.get_action(info([1, 1], [1, 2]))
    assert [len(counting.starts) for counting in made] == [1, 1, 1, 1]


def test_an_env_whose_episode_is_over_is_left_alone() -> None:
    planner, made = policy()
    actions = planner.get_action(info([0, 0], [1, 2], (True, False)))
    assert actions.tolist()[0] == [0.0, 0.0]
    assert made[0].starts == []

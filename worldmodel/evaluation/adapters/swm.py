"""`swm/PushT-v1`, `swm/TwoRoom-v1` and `swm/OGBCube-v0` of stable-worldmodel."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding

from worldmodel.evaluation.adapters.adapter import Adapter
from worldmodel.evaluation.adapters.ogbench import Cube
from worldmodel.evaluation.adapters.pusht import turn_deg


class _Swm(Adapter):
    """What PushT and TwoRoom have in common."""

    module = "stable_worldmodel.envs"
    absolute = False


class SwmPushT(_Swm):
    """PushT with relative actions of up to 100 px.

    A state is the pointer's x and y and the T's x and y [px], its angle [rad], and the
    pointer's velocity. Success is that of stable-worldmodel: pointer and T together
    within 20 px of the goal, the T within 20 degrees.
    """

    proprio = "proprio"
    tolerances = {"place [px]": 20.0, "angle [deg]": 20.0}  # noqa: RUF012 (read only)
    columns = ("state",)

    def state(self) -> np.ndarray:
        """Gives the present state (7,)."""
        return self.unwrapped._get_obs()

    def restore(self, state: np.ndarray) -> Any:
        """Puts pointer and T where a state (7,) has them; the T is at rest."""
        env = self.unwrapped
        if len(state) != len(self.state()):
            raise ValueError(f"a state of swm/PushT has 7 numbers, got {len(state)}")
        env._setup()  # else the last contacts of before push
        env.agent.position, env.agent.velocity = tuple(state[:2]), tuple(state[5:])
        env.block.angle, env.block.position = float(state[4]), tuple(state[2:4])
        for body in (env.agent, env.block):
            env.space.reindex_shapes_for_body(body)
        now = self.state()
        return {"proprio": np.concatenate([now[:2], now[5:]]), "state": now}

    def distances(self, state: np.ndarray, goal: np.ndarray) -> dict[str, float]:
        """Gives how far pointer and T, as one vector, are from the goal; the turn."""
        return {
            "place [px]": float(np.linalg.norm(state[:4] - goal[:4])),
            "angle [deg]": turn_deg(state[4], goal[4]),
        }

    def problem(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives the goal that the env draws with its start."""
        _, info = self.env.reset(seed=seed)
        return np.asarray(info["goal_state"], np.float64), info["goal"]


class TwoRoom(_Swm):
    """A dot goes through a door; a state is its x and y [px]."""

    tolerances = {"dot [px]": 16.0}  # noqa: RUF012 (read only)
    columns = ("state",)

    def feel(self, observation: Any) -> np.ndarray:
        """Gives where the dot is."""
        return np.asarray(observation[:2], np.float32)

    def state(self) -> np.ndarray:
        """Gives where the dot is."""
        return np.asarray(self.unwrapped.agent_position, np.float64)

    def restore(self, state: np.ndarray) -> Any:
        """Puts the dot somewhere."""
        if len(state) != 2:
            raise ValueError(f"a state of swm/TwoRoom has 2 numbers, got {len(state)}")
        like = self.unwrapped.agent_position
        self.unwrapped.agent_position = like.new_tensor(state)
        return self.unwrapped._get_obs()

    def distances(self, state: np.ndarray, goal: np.ndarray) -> dict[str, float]:
        """Gives how far the dot is from the goal's."""
        return {"dot [px]": float(np.linalg.norm(state - goal))}

    def problem(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives the target that the env draws with its start: the dot there."""
        self.env.reset(seed=seed)
        picture = np.asarray(self.unwrapped._target_img).transpose(1, 2, 0)
        return np.asarray(self.unwrapped.target_position, np.float64), picture


class SwmCube(Cube):
    """OGBench's cube as stable-worldmodel has it, seen by the camera of its evaluation.

    State, hand and success are those of `Cube`, the budget is stable-worldmodel's.
    """

    module = "stable_worldmodel.envs"
    options = {  # noqa: RUF012 (read only)
        **Cube.options,
        "env_type": "single",
        "multiview": False,
        "width": 224,
        "height": 224,
    }
    budget = 50

    def __init__(self, env: gym.Env) -> None:
        """Holds an env; nothing of its scene is drawn anew after the first reset.

        By itself it takes the arm's colour, once set, for a change of it, and compiles
        the scene again at every reset: a second, and the same scene.
        """
        super().__init__(env)
        modify = self.unwrapped.modify_mjcf_model

        def modify_once(scene: Any) -> Any:
            self.unwrapped.modify_mjcf_model = lambda modified: modified
            return modify(scene)

        self.unwrapped.modify_mjcf_model = modify_once

    def problem(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives one of OGBench's five tasks; by itself the env draws from no seed."""
        self.unwrapped.np_random, _ = seeding.np_random(seed)
        return super().problem(seed)

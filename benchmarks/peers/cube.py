"""stable-worldmodel's cube env, with every draw of an episode from its seed."""

from __future__ import annotations

from functools import reduce
from operator import getitem
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding

from worldmodel.evaluation.adapters.ogbench import Cube

DRAWN = (  # theirs, by default
    "cube.start_position",
    "cube.start_yaw",
    "cube.goal_position",
    "cube.goal_yaw",
)


SHADOW_SIDE = 1024  # of the shadow map [px]; theirs is 4096, half of the time on a CPU


class SeededCube(gym.Wrapper):
    """Their env, which tells the hand and gives the same episode for the same seed.

    By itself it draws from no seed, whatever `reset` is given, and its scripted policy
    draws where the hand goes afterwards from numpy's global generator. Shadows have
    coarser edges: 0.2% of the pixels differ by more than 8 of 255.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        inner: Any = self.unwrapped
        theirs = inner.modify_mjcf_model

        def with_small_shadows(model: Any) -> Any:
            model = theirs(model)
            model.visual.quality.shadowsize = SHADOW_SIDE
            return model

        inner.modify_mjcf_model = with_small_shadows

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode, all of it drawn from the seed."""
        space: Any = self.get_wrapper_attr("variation_space")
        space.seed(seed)
        space.reset()
        space.update(DRAWN)
        values = {
            name: np.copy(reduce(getitem, name.split("."), space).value)
            for name in DRAWN
        }
        self.unwrapped.np_random, _ = seeding.np_random(seed)
        np.random.seed(seed)  # noqa: NPY002 (theirs)
        told = {**(options or {}), "variation_values": values}
        observation, info = self.env.reset(seed=seed, options=told)
        return observation, {**info, "hand": self._hand()}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Takes a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        told = {**info, "hand": self._hand()}
        return observation, reward, terminated, truncated, told

    def _hand(self) -> np.ndarray:
        return Cube(self.env).feel(None)

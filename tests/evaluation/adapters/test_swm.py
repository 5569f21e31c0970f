"""What the adapter of stable-worldmodel's cube mends, in a fake of its env."""

from typing import Any

import gymnasium as gym

from worldmodel.evaluation.adapters.swm import SwmCube


class Scene(gym.Env):
    """Says what it was asked for; each change of its scene is a compilation."""

    def __init__(self) -> None:
        self.compiled = 0

    def modify_mjcf_model(self, scene: str) -> str:
        self.compiled += 1
        return f"{scene} with an arm"

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.scene = self.modify_mjcf_model(getattr(self, "scene", "table"))
        return 0, {}


def test_the_scene_is_made_once() -> None:
    env = Scene()
    adapter = SwmCube(env)
    for seed in range(3):
        adapter.env.reset(seed=seed)
    assert (env.compiled, env.scene) == (1, "table with an arm")

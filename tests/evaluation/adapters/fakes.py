"""A cart on a rail, in a few shapes that adapters meet."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from worldmodel.action_spec import ActionSpec
from worldmodel.evaluation.adapters import Adapter

SPEC = ActionSpec(
    names=("force", "brake"),
    units=("N", "N"),
    scales=(5.0, 1.0),
    frames=("unknown", "unknown"),
    rate_hz=10.0,
    offsets=(5.0, 0.0),
)


class Cart(gym.Env):
    """Keeps what it was given; its picture is as bright as its place."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self) -> None:
        self.render_mode = "rgb_array"
        low, high = np.array([0, -1], np.float32), np.array([10, 1], np.float32)
        self.action_space = spaces.Box(low, high)
        self.observation_space = spaces.Dict({})
        self.taken: list[np.ndarray] = []
        self.place = 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.place = 0.0
        return {"place": np.array([self.place])}, {}

    def step(self, action: np.ndarray) -> Any:
        self.taken.append(action)
        self.place += 1.0
        return {"place": np.array([self.place])}, 0.5, True, True, {}

    def render(self) -> Any:
        return np.full((4, 6, 3), int(10 * self.place), np.uint8)


class CartAdapter(Adapter):
    proprio = "place"
    tolerances = {"place [m]": 0.5, "speed [m/s]": 9.0}  # noqa: RUF012

    def state(self) -> np.ndarray:
        return np.array([self.unwrapped.place])

    def restore(self, state: np.ndarray) -> Any:
        self.unwrapped.place = float(state[0])
        return {"place": state}

    def distances(self, state: np.ndarray, goal: np.ndarray) -> dict[str, float]:
        return {"speed [m/s]": 0.0, "place [m]": abs(float(state[0] - goal[0]))}

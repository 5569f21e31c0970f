"""A hand pushes a disc over a square table, both drawn with numpy: `PointPusher-v0`."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces

SIDE = 48  # [px]
RADIUS = 0.11  # [m], of hand and disc; the table is 1 m wide
SPEED = 0.08  # [m] that an action of 1 moves the hand in a step
GREY, BLUE, RED = (200, 200, 200), (40, 70, 220), (230, 80, 40)


class PusherEnv(gym.Env):
    """State (4,): the hand's x and y, the disc's x and y [m]."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.state = np.zeros(4)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = spaces.Dict(
            {
                "pixels": spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8),
                "hand": spaces.Box(0.0, 1.0, (2,), np.float32),
            }
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        hand, disc = self.np_random.uniform(0.2, 0.8, (2, 2))
        self.state = np.array([*hand, *disc])
        self._push()
        return self.observation(), {}

    def step(self, action):
        move = SPEED * np.clip(action, -1, 1)
        self.state[:2] = np.clip(self.state[:2] + move, 0, 1)
        self._push()
        return self.observation(), 0.0, False, False, {}

    def observation(self):
        return {"pixels": self.render(), "hand": self.state[:2].astype(np.float32)}

    def render(self):
        rows, columns = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
        picture = np.full((SIDE, SIDE, 3), GREY, np.uint8)
        for (x, y), colour in ((self.state[2:], RED), (self.state[:2], BLUE)):
            picture[np.hypot(columns - x, rows - y) < RADIUS] = colour
        return picture

    def _push(self):
        """The disc gives way to the hand, and stays on the table."""
        away = self.state[2:] - self.state[:2]
        far = np.linalg.norm(away)
        if far < 2 * RADIUS:
            away = away / far if far else np.array([1.0, 0.0])
            self.state[2:] = np.clip(self.state[:2] + 2 * RADIUS * away, 0, 1)


gym.register("PointPusher-v0", "pusher_env:PusherEnv")

"""A hand over a table that shows its pose: `PosedHand-v0`, and its adapter."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from worldmodel.evaluation.adapters import Adapter
from worldmodel.vjepa2_ac import SearchSpace

SIDE = 32  # [px]
RATE_HZ = 10.0
SPEC = replace(SearchSpace().spec, rate_hz=RATE_HZ)


class PosedHand(gym.Env):
    """State (7,): x, y, z [m], Euler angles [rad], how far the gripper is closed."""

    metadata = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "action_spec": SPEC.to_json(),
    }

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.state = np.zeros(7)
        self.action_space = spaces.Box(-1.0, 1.0, (4,), np.float32)
        self.observation_space = spaces.Dict(
            {
                "pixels": spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8),
                "pose": spaces.Box(-10.0, 10.0, (7,), np.float32),
            }
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.zeros(7)
        self.state[:3] = self.np_random.uniform(-0.3, 0.3, 3)
        return self.observation(), {}

    def step(self, action):
        moved = action * np.array(SPEC.scales)
        self.state[:3] += moved[:3]
        self.state[6] = np.clip(self.state[6] + moved[3], 0, 1)
        return self.observation(), 0.0, False, False, {}

    def observation(self):
        return {"pixels": self.render(), "pose": self.state.astype(np.float32)}

    def render(self):
        rows, columns = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE - 0.5
        near = np.hypot(columns - self.state[0], rows - self.state[1]) < 0.1
        return np.where(near[..., None], (240, 60, 40), (90, 90, 90)).astype(np.uint8)


class Hand(Adapter):
    """Solved where the hand is near the goal's place."""

    proprio = "pose"
    tolerances = {"hand [m]": 0.02}  # noqa: RUF012
    budget = 3

    def state(self):
        return self.unwrapped.state.copy()

    def restore(self, state):
        self.unwrapped.state = state.copy()
        return self.unwrapped.observation()

    def distances(self, state, goal):
        return {"hand [m]": float(np.linalg.norm(state[:3] - goal[:3]))}

    def problem(self, seed):
        self.env.reset(seed=seed)
        goal = self.state()
        goal[:3] += 0.1
        start = self.state()
        self.restore(goal)
        picture = self.unwrapped.render()
        self.restore(start)
        return goal, picture


class Blind(Hand):
    """The same, without a pose."""

    proprio = None


gym.register("PosedHand-v0", entry_point=f"{__name__}:PosedHand")

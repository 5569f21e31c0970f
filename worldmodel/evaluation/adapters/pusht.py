"""`gym_pusht/PushT-v0`: a round pointer pushes a T."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldmodel.evaluation.adapters.adapter import Adapter
from worldmodel.evaluation.adapters.pusht_picture import read_block, read_pointer


class PushT(Adapter):
    """PushT of gym-pusht; a state is the pointer's x, y and the T's x, y [px], angle.

    Success is that of most world models' evaluations: the T within 20 px and 20 degrees
    of where the goal has it.
    """

    module = "gym_pusht"
    options = {"obs_type": "pixels_agent_pos"}  # noqa: RUF012 (read only)
    pixels = "pixels"
    proprio = "agent_pos"
    units = ("px", "px")
    absolute = True
    tolerances = {"block [px]": 20.0, "angle [deg]": 20.0}  # noqa: RUF012 (read only)
    columns = ("observation.environment_state",)

    def state(self) -> np.ndarray:
        """Gives the present state (5,); all of it stands still where it is restored."""
        env = self.unwrapped
        return np.array([*env.agent.position, *env.block.position, env.block.angle])

    def restore(self, state: np.ndarray) -> Any:
        """Puts pointer and T where a state (5,) has them, at rest."""
        if len(state) != len(self.state()):
            raise ValueError(f"a state of PushT has 5 numbers, got {len(state)}")
        env = self.unwrapped
        env._setup()  # else the last contacts of before are drawn, and push
        env._last_action = None
        env.agent.position = tuple(state[:2])
        env.block.angle, env.block.position = float(state[4]), tuple(state[2:4])
        env.space.reindex_shapes_for_body(env.agent)
        env.space.reindex_shapes_for_body(env.block)
        return env.get_obs()

    def distances(self, state: np.ndarray, goal: np.ndarray) -> dict[str, float]:
        """Gives how far the T is from where the goal has it."""
        return {
            "block [px]": float(np.linalg.norm(state[2:4] - goal[2:4])),
            "angle [deg]": turn_deg(state[4], goal[4]),
        }

    def hold(self, proprio: np.ndarray) -> np.ndarray:
        """Gives where the pointer is: an action says where it shall be."""
        return proprio[:2]

    def read(self, picture: np.ndarray, proprio: np.ndarray) -> np.ndarray:
        """Gives the state (5,) that a picture shows; proprio tells the pointer."""
        is_told = len(proprio) == len(self.units)
        pointer = proprio if is_told else read_pointer(picture)
        return np.array([*pointer, *read_block(picture)])

    def problem(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives the env's own goal, the T in the green zone, from its own start."""
        self.env.reset(seed=seed)
        env = self.unwrapped
        start = self.state()
        goal = np.array([*start[:2], *env.goal_pose])
        picture = self.picture(self.restore(goal))
        self.restore(start)
        return goal, picture


def turn_deg(angle: float, other: float) -> float:
    """Gives how far two angles [rad] are from one another [deg]."""
    turn = (angle - other + np.pi) % (2 * np.pi) - np.pi
    return float(np.degrees(abs(turn)))

"""The adapter of `pusher_env`, as docs/own_robot.md has it."""

import numpy as np
import pusher_env  # noqa: F401 (registers PointPusher-v0)

from worldmodel.evaluation.adapters import Adapter


class Pusher(Adapter):
    """A state is that of the env."""

    proprio = "hand"
    tolerances = {"disc [m]": 0.05}  # noqa: RUF012

    def state(self):
        return self.unwrapped.state.copy()

    def restore(self, state):
        self.unwrapped.state = state.copy()
        return self.unwrapped.observation()

    def distances(self, state, goal):
        return {"disc [m]": np.linalg.norm(state[2:] - goal[2:])}

"""Our own table-top tasks, as one example of an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from envs.problems import make_start_and_goal
from worldmodel.evaluation.adapters.adapter import Adapter


class Tabletop(Adapter):
    """A task of `envs`; a state is the vector of `TabletopEnv.get_state`."""

    module = "envs"
    pixels = "pixels"
    proprio = "proprio"
    in_turns = True

    @property
    def budget(self) -> int:  # type: ignore[override]
        """Control steps of an episode, as the task says."""
        return self.unwrapped.budget

    @property
    def tolerances(self) -> Mapping[str, float]:  # type: ignore[override]
        """The task's, which are in metres."""
        task = self.unwrapped.task
        return {f"{name} [m]": most for name, most in task.tolerances.items()}

    def state(self) -> np.ndarray:
        """Gives everything that the future depends on."""
        return self.unwrapped.get_state()

    def restore(self, state: np.ndarray) -> Any:
        """Brings back a state."""
        self.unwrapped.set_state(state)
        return self.unwrapped.observe()

    def distances(self, state: np.ndarray, goal: np.ndarray) -> dict[str, float]:
        """Gives the task's distances."""
        now = self.unwrapped.get_state()
        self.unwrapped.set_state(state)
        self.unwrapped.set_goal(goal)
        found = self.unwrapped.info()["distances"]
        self.unwrapped.set_state(now)
        return {name: found[name.removesuffix(" [m]")] for name in self.tolerances}

    def problem(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives the problem of a seed: the end of a scripted expert's run."""
        made = make_start_and_goal(self.unwrapped.simulation, self.unwrapped.task, seed)
        self.unwrapped.set_state(made.start)
        return made.goal, self.unwrapped.render_goal(made.goal)

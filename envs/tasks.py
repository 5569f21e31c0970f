"""What each task measures, and when it counts as done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # so that task names are known where mujoco cannot be imported
    from envs.simulation import Quantities

Distances = dict[str, float]


@dataclass(frozen=True)
class Task:
    """A task of the table-top family.

    Attributes:
        name: as in `worldmodel/<name>-v0`.
        budget: control steps of an episode.
        tolerances: per distance that decides success, the largest allowed value
            [m]; the first is the task's main distance.
        distances: current and goal quantities to distances by name.
    """

    name: str
    budget: int
    tolerances: dict[str, float]
    distances: Callable[[Quantities, Quantities], Distances]

    @property
    def main(self) -> str:
        """Name of the distance that the reward reports."""
        return next(iter(self.tolerances))

    def is_success(self, distances: Distances) -> bool:
        """Whether every deciding distance is within its tolerance."""
        return all(distances[name] <= most for name, most in self.tolerances.items())


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b))


def _all_distances(now: Quantities, goal: Quantities) -> Distances:
    return {
        "gripper": _gap(now.gripper_pos_world, goal.gripper_pos_world),
        "cube": _gap(now.cube_pos_world, goal.cube_pos_world),
    }


REACH = Task("Reach", 25, {"gripper": 0.02}, _all_distances)
PUSH = Task("Push", 50, {"cube": 0.025}, _all_distances)
PICK_PLACE = Task("PickPlace", 50, {"cube": 0.025}, _all_distances)

TASKS = {task.name: task for task in (REACH, PUSH, PICK_PLACE)}


def find_task(name: str) -> Task:
    """The task called `name`, whatever its capitals and separators.

    Raises:
        ValueError: no task has that name; the known ones are listed.
    """
    wanted = name.replace("_", "").replace("-", "").lower()
    for task in TASKS.values():
        if task.name.lower() == wanted:
            return task
    raise ValueError(f"unknown task {name!r}; known tasks: {', '.join(TASKS)}")

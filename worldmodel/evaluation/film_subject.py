"""What the films of a task are about, and the camera for people that they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np

from envs.presentation import Marker, PresentationCamera
from envs.simulation import CONTROL_RATE_HZ
from envs.tabletop import TabletopEnv

View = Callable[[np.ndarray], np.ndarray]
"""The picture for people, uint8 (h, w, 3), of a state."""
OpenView = Callable[[np.ndarray, int], AbstractContextManager[View]]
"""A view of that side [px], with a goal state marked in it."""


@dataclass(frozen=True)
class Subject:
    """What the films of a task are about.

    Attributes:
        task: Name of the task.
        budget: Steps of an episode.
        radius: Distance within which the task is solved; None where the true goal is
            not known, so that neither distance nor outcome can be told.
        open_view: Opens the camera for people, None to leave it out.
        unit: Unit in which distances are shown.
        per_unit: What distances are multiplied by for that; of those in metres, 100.
        rate_hz: Control steps per second, so that films run as fast as the robot [Hz].
    """

    task: str
    budget: int
    radius: float | None
    open_view: OpenView | None = None
    unit: str = "cm"
    per_unit: float = 100.0
    rate_hz: float = CONTROL_RATE_HZ

    def shown(self, distance: float) -> str:
        """Gives a distance as a text with its unit."""
        value = self.per_unit * distance
        number = f"{value:.1f}" if self.unit == "cm" else f"{value:.3g}"
        return f"{number} {self.unit}".rstrip()


def subject_of(env: TabletopEnv, is_goal_known: bool = True) -> Subject:
    """Gives the subject of films of a table-top task.

    Args:
        env: The task's environment; it is not touched.
        is_goal_known: Whether its goal state is the one that the goal picture shows.
    """
    task, scene = env.task, env.scene
    radius = task.tolerances[task.main] if is_goal_known else None

    @contextmanager
    def open_view(goal: np.ndarray, side: int) -> Iterator[View]:
        with PresentationCamera(side, side, scene) as camera:
            ball = None
            if radius is not None:
                ball = Marker(camera.where(goal, task.main), radius)
            yield lambda state: camera.render(state, ball)

    return Subject(task.name, env.budget, radius, open_view)

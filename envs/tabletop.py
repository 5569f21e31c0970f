"""The Gymnasium environment of the table-top tasks."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.camera import Camera
from envs.problems import goal_quantities, make_start_and_goal
from envs.simulation import (
    ACTION_NAMES,
    ACTION_SPEC,
    CONTROL_RATE_HZ,
    PROPRIO_SIZE,
    Quantities,
    Simulation,
)
from envs.tasks import find_task
from envs.variation import SceneOptions, apply_scene_options

_RESET_OPTIONS = ("state", "goal", "scene")
_NO_GOAL = "no episode yet: call reset first"


class TabletopEnv(gym.Env):
    """A table-top with one arm and one cube; the task says what success means.

    The observation is `{"pixels": uint8 (height, width, 3), "proprio": float32
    (20,)}`, the action `(5,)` in [-1, 1] as `metadata["action_spec"]` says. The
    reward is minus the task's main distance [m]; `terminated` is always False.

    Args:
        task: name of a task in `envs.tasks.TASKS`.
        height: image height [px].
        width: image width [px].
        render_mode: "rgb_array" or None.
        scene: how the scene differs from the nominal one where `reset` does not say.
    """

    metadata = {  # noqa: RUF012 (Gymnasium reads it from the class)
        "render_modes": ["rgb_array"],
        "render_fps": int(CONTROL_RATE_HZ),
        "action_spec": ACTION_SPEC,
    }

    def __init__(
        self,
        task: str = "Reach",
        height: int = 96,
        width: int = 96,
        render_mode: str | None = None,
        scene: SceneOptions | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or rgb_array: {render_mode!r}")
        self.task = find_task(task)
        self.render_mode = render_mode
        self.scene = scene or SceneOptions()
        self.simulation = Simulation()
        self._vary_scene(self.scene)
        self._camera = Camera(self.simulation.model, height, width)
        self._goal: np.ndarray | None = None
        self._goal_quantities: Quantities | None = None
        self.action_space = spaces.Box(-1.0, 1.0, (len(ACTION_NAMES),), np.float32)
        self.observation_space = spaces.Dict(
            {
                "pixels": spaces.Box(0, 255, (height, width, 3), np.uint8),
                "proprio": spaces.Box(-np.inf, np.inf, (PROPRIO_SIZE,), np.float32),
            }
        )

    @property
    def budget(self) -> int:
        """Control steps of an episode."""
        return self.task.budget

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: seeds the start, the goal and the scene's variation.
            options: any of `state` and `goal` (vectors of `get_state`, together a
                saved problem; one that is not given is drawn) and `scene` (a
                `SceneOptions`, or "random").

        Raises:
            ValueError: an unknown option; the known ones are listed.
        """
        super().reset(seed=seed)
        options = options or {}
        unknown = sorted(set(options) - set(_RESET_OPTIONS))
        if unknown:
            known = ", ".join(_RESET_OPTIONS)
            raise ValueError(f"unknown reset options {unknown}; known: {known}")
        self._vary_scene(options.get("scene", self.scene))
        if "state" not in options or "goal" not in options:
            options = {**self._draw_problem(), **options}
        self.simulation.set_state(options["state"])
        self.simulation.steps = 0
        self.set_goal(options["goal"])
        return self.observe(), self.info()

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Advances by one control step (0.2 s).

        Raises:
            ValueError: the action has another shape or is not finite, or the env was
                not reset yet.
        """
        if self._goal_quantities is None:
            raise ValueError(_NO_GOAL)
        action = np.asarray(action)
        is_number = action.dtype.kind in "iuf"
        if action.shape != self.action_space.shape or not (
            is_number and np.isfinite(action).all()
        ):
            shown = f"{action.tolist()!r:.60} of shape {action.shape}"
            raise ValueError(
                f"action must be {len(ACTION_NAMES)} finite numbers, got {shown}"
            )
        self.simulation.step(action)
        info = self.info()
        truncated = self.simulation.steps >= self.budget
        return self.observe(), -info["distance"], False, truncated, info

    def observe(self) -> dict[str, np.ndarray]:
        """The observation of the present state."""
        pixels = self._camera.render(self.simulation.data)
        return {"pixels": pixels, "proprio": self.simulation.proprio()}

    def render(self) -> np.ndarray | None:
        """The camera image uint8 (height, width, 3), or None without a mode."""
        if self.render_mode is None:
            return None
        return self._camera.render(self.simulation.data)

    def get_state(self) -> np.ndarray:
        """Everything that the future depends on, a flat float64 vector."""
        return self.simulation.get_state()

    def set_state(self, state: np.ndarray) -> None:
        """Restores a vector of `get_state`; replay from it is bit-identical."""
        self.simulation.set_state(state)

    def set_goal(self, goal: np.ndarray) -> None:
        """Sets the goal: the state vector of the whole end state."""
        self._goal_quantities = goal_quantities(self.simulation, goal)
        self._goal = np.array(goal, dtype=np.float64)

    def render_goal(self, goal: np.ndarray | None = None) -> np.ndarray:
        """The image uint8 (height, width, 3) of a goal (the present one if None)."""
        goal = self._goal if goal is None else goal
        if goal is None:
            raise ValueError(f"{_NO_GOAL}, or pass one")
        now = self.get_state()
        self.set_state(goal)
        image = self._camera.render(self.simulation.data)
        self.set_state(now)
        return image

    def close(self) -> None:
        """Frees the renderer."""
        self._camera.close()

    def info(self) -> dict[str, Any]:
        """Success, distances and named physical quantities of the present."""
        if self._goal_quantities is None:
            raise ValueError(_NO_GOAL)
        now = self.simulation.quantities()
        distances = self.task.distances(now, self._goal_quantities)
        return {
            "is_success": self.task.is_success(distances),
            "distance": distances[self.task.main],
            "distances": distances,
            **now.as_dict(),
        }

    def _draw_problem(self) -> dict[str, np.ndarray]:
        seed = int(self.np_random.integers(2**31))
        problem = make_start_and_goal(self.simulation, self.task, seed)
        return {"state": problem.start, "goal": problem.goal}

    def _vary_scene(self, scene: SceneOptions | str) -> None:
        if scene == "random":
            scene = SceneOptions.random(self.np_random)
        if not isinstance(scene, SceneOptions):
            raise ValueError(f"scene must be SceneOptions or 'random', got {scene!r}")
        apply_scene_options(self.simulation.model, scene)

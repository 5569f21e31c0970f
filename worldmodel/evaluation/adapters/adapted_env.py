"""An env behind its adapter, as the runner asks for envs."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from worldmodel.action_spec import ActionSpec
from worldmodel.data.pictures import resized
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.adapters.adapter import Adapter, is_picture

Observation = dict[str, np.ndarray]


class AdaptedEnv:
    """Takes actions in [-1, 1]; gives pixels of one size, proprio and distances.

    That the env says an episode is over is left aside: success is judged after the
    last step of a fixed budget, and an env is not stepped beyond that.

    Attributes:
        adapter: Of the env, which it holds.
        action_space: [-1, 1]^A.
        draws: Whether the observations of the next steps have pixels.
    """

    def __init__(
        self, adapter: Adapter, spec: ActionSpec, height: int, width: int
    ) -> None:
        """Wraps an adapter.

        Args:
            adapter: Of the env.
            spec: What actions in [-1, 1] stand for.
            height: Of the pixels that it gives [px].
            width: Of them [px].
        """
        self.adapter = adapter
        self.action_space = spaces.Box(-1.0, 1.0, (spec.size,), np.float32)
        self._spec, self._height, self._width = spec, height, width
        self.draws = True
        self._goal = np.zeros(0)
        self._judges = adapter.has("distances")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: Of the env's own start.
            options: `state`, the start, empty for the env's own; and `goal`, a state.
        """
        options = options or {}
        observation, _ = self.adapter.env.reset(seed=seed)
        if len(options.get("state", ())):
            observation = self.adapter.restore(options["state"])
        self._goal = options.get("goal", self._goal)
        return self.observe(observation), self._info()

    def step(
        self, action: np.ndarray
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Takes an action in [-1, 1]^A; neither ends the episode nor cuts it off."""
        space, wanted = self.adapter.actions, action
        if self.adapter.declared is None:
            wanted = self._spec.in_units(action).clip(space.low, space.high)
        stepped = self.adapter.env.step(wanted.astype(space.dtype))
        seen = self.observe(stepped[0], self.draws)
        return seen, float(stepped[1]), False, False, self._info()

    def get_state(self) -> np.ndarray:
        """The adapter's state of the env."""
        return np.asarray(self.adapter.state(), np.float64)

    def set_state(self, state: np.ndarray) -> None:
        """Brings back a state."""
        self.adapter.restore(state)

    def set_goal(self, goal: np.ndarray) -> None:
        """Sets the goal state that distances are told to."""
        self._goal = goal

    def observe(self, observation: Any, draws: bool = True) -> Observation:
        """What planning sees of an observation of the env; pixels only with `draws`.

        Raises:
            WorldModelError: It shows no picture, or proprio is no vector.
        """
        proprio = self.adapter.feel(observation)
        if proprio.ndim != 1:
            raise WorldModelError(
                f"{_name(self.adapter)}.feel must give (S,), got {_shown(proprio)}"
            )
        felt = {"proprio": np.asarray(proprio, np.float32)}
        if not draws:
            return felt
        return {"pixels": self.seen(self.adapter.picture(observation)), **felt}

    def seen(self, picture: Any) -> np.ndarray:
        """Gives a picture of the env at the size that the model sees.

        Raises:
            WorldModelError: It is none.
        """
        if not is_picture(picture):
            raise WorldModelError(
                f"{_name(self.adapter)}.picture must give uint8 (height, width, 3), "
                f"got {_shown(picture)}; set `pixels` to the key of the picture, or "
                "override `picture`"
            )
        return resized(np.ascontiguousarray(picture), self._height, self._width)

    def close(self) -> None:
        """Closes the env."""
        self.adapter.env.close()

    def _info(self) -> dict[str, Any]:
        """Success and distances; where nobody can tell them, one distance of 0."""
        if not self._judges or not len(self._goal):
            return {"is_success": False, "distance": 0.0, "distances": {}}
        return judged(self.adapter, self.get_state(), self._goal)


def judged(adapter: Adapter, state: np.ndarray, goal: np.ndarray) -> dict[str, Any]:
    """Gives success and distances of a state, the main one first.

    Raises:
        WorldModelError: The adapter's distances are not those of its tolerances.
    """
    found = adapter.distances(state, goal)
    wanted = adapter.tolerances
    if set(found) != set(wanted):
        raise WorldModelError(
            f"{_name(adapter)}.distances must give {sorted(wanted)}, one for each of "
            f"`tolerances`, got {sorted(found)}"
        )
    distances = {name: float(found[name]) for name in wanted}
    return {
        "is_success": all(distances[name] <= most for name, most in wanted.items()),
        "distance": distances[next(iter(wanted))],
        "distances": distances,
    }


def _name(adapter: Adapter) -> str:
    return type(adapter).__name__


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return type(value).__name__

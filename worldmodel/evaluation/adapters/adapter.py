"""What this package has to be told of an env: one small class, most of it defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from worldmodel.action_spec import ActionSpec
from worldmodel.errors import WorldModelError


class Adapter:
    """How an env is planned in. A subclass says what differs from this.

    As it stands it serves any env that shows a picture: one in its observation, or
    what `render` gives. `plan` and `practice` need no more; `evaluate` also asks for
    `state`, `restore`, `distances` and `tolerances`. One adapter holds one env.

    Nothing that planning sees comes from `state` or `distances`: these set up problems
    and judge what came of them. An env that says in `metadata["action_spec"]` what its
    actions in [-1, 1] mean, as `ActionSpec.to_json` does, is taken at its word.

    Attributes:
        env: The env, as `gymnasium.make` gave it.
        unwrapped: The env without wrappers.
        module: What to import so that the env is registered, "" for nothing.
        options: What `gymnasium.make` is given beside the id.
        pixels: Key of the picture in the observation; None takes the observation's only
            picture, or else `render`.
        proprio: Key of the vector in the observation that the robot feels of itself;
            None for none.
        names: What the dimensions of an action are, in their order; () if unknown.
        units: Unit of each; () if unknown.
        absolute: Whether actions say where to be; None if unknown.
        rate_hz: Control steps per second [Hz]; None takes `metadata["render_fps"]`.
        budget: Control steps of an episode; success is judged after the last.
        tolerances: How small each distance must be for success, by name, the main one
            first; a name may end with its unit, as in "block [px]".
        columns: Columns of a dataset, put side by side, that hold what `restore` takes,
            of datasets that `worldmodel` did not record.
        in_turns: Whether one env may serve all problems, one after the other at each
            step, because `restore` brings back everything that `state` gave.
    """

    module: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    pixels: ClassVar[str | None] = None
    proprio: ClassVar[str | None] = None
    names: ClassVar[tuple[str, ...]] = ()
    units: ClassVar[tuple[str, ...]] = ()
    absolute: ClassVar[bool | None] = None
    rate_hz: ClassVar[float | None] = None
    budget: int = 50
    tolerances: Mapping[str, float] = {}
    columns: ClassVar[tuple[str, ...]] = ()
    in_turns: ClassVar[bool] = False

    def __init__(self, env: gym.Env) -> None:
        self.env = env
        self.unwrapped: Any = env.unwrapped

    def picture(self, observation: Any) -> np.ndarray:
        """Gives the picture of an observation, uint8 (height, width, 3)."""
        if self.pixels is not None:
            return observation[self.pixels]
        found = [value for value in _parts(observation) if is_picture(value)]
        if len(found) == 1:
            return found[0]
        return np.asarray(self.env.render())

    def view(self, observation: Any) -> np.ndarray:
        """Gives a picture for people, uint8 (h, w, 3), such as a larger one."""
        shown = self.env.render() if self.env.render_mode == "rgb_array" else None
        picture = np.asarray(shown)
        return picture if is_picture(picture) else self.picture(observation)

    def feel(self, observation: Any) -> np.ndarray:
        """Gives the proprio of an observation, (S,); S may be 0."""
        if self.proprio is None:
            return np.zeros(0, np.float32)
        return np.asarray(observation[self.proprio], np.float32)

    def state(self) -> np.ndarray:
        """Gives the env's present state (n,), as datasets of it hold it."""
        return np.zeros(0)

    def restore(self, state: np.ndarray) -> Any:
        """Brings back a recorded state (n,) and gives the observation of it.

        Raises:
            ValueError: It is no state of this env.
        """
        raise NotImplementedError

    def distances(self, state: np.ndarray, goal: np.ndarray) -> dict[str, float]:
        """Gives how far a state (n,) is from a goal state (n,), by `tolerances`."""
        raise NotImplementedError

    def hold(self, proprio: np.ndarray) -> np.ndarray:
        """Gives the action (A,), in the env's units, that does nothing.

        Of proprio (S,) alone, for planning sees nothing else. Without it that is the
        action of zeros, or the last one again where actions say where to be.
        """
        raise NotImplementedError

    def read(self, picture: np.ndarray, proprio: np.ndarray) -> np.ndarray:
        """Gives the state (n,) that a recorded picture shows, with its proprio (S,).

        For datasets that tell no state. The picture is as large as the model sees it.

        Raises:
            ValueError: It does not show it.
        """
        raise NotImplementedError

    def problem(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Puts the env at the start of a problem of its own, made from a seed.

        Returns:
            The goal state (n,), and its picture uint8 (height, width, 3).
        """
        raise NotImplementedError

    @property
    def declared(self) -> ActionSpec | None:
        """What the env says itself of its actions in [-1, 1], if it does."""
        found = self.env.metadata.get("action_spec")
        return None if found is None else ActionSpec.from_json(found)

    @classmethod
    def has(cls, method: str) -> bool:
        """Whether a subclass says something of its own."""
        return getattr(cls, method) is not getattr(Adapter, method)

    @property
    def actions(self) -> spaces.Box:
        """The env's actions.

        Raises:
            WorldModelError: They are no vector of numbers.
        """
        space = self.env.action_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise WorldModelError(
                f"actions must be a Box of one dimension (A,), got {space}; an env "
                "with others needs a wrapper, gymnasium.ActionWrapper"
            )
        return space


def is_picture(value: Any) -> bool:
    """Whether a value is uint8 (height, width, 3)."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.uint8
        and value.ndim == 3
        and value.shape[2] == 3
    )


def _parts(observation: Any) -> list[Any]:
    if isinstance(observation, Mapping):
        return list(observation.values())
    return [observation]

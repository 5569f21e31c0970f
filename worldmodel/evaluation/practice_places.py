"""Where a model practises: several episodes at once, seen and moved together."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from envs.camera import Camera
from envs.simulation import ACTION_SPEC, MOTION_SIZE, Simulation, random_start
from worldmodel.action_spec import ActionSpec
from worldmodel.evaluation.adapters.adapted_arena import AdaptedArena
from worldmodel.evaluation.adapters.adapted_env import AdaptedEnv, Observation
from worldmodel.evaluation.side_by_side import EnvPool
from worldmodel.evaluation.world_model_policy import Idle


class PracticePlace(Protocol):
    """What practice asks of a place.

    Attributes:
        action_spec: What its actions mean.
        moves: Action dimensions that noise is added to: the first so many.
        idle: Which action does nothing; None for the policy's own answer.
    """

    @property
    def action_spec(self) -> ActionSpec: ...
    @property
    def moves(self) -> int: ...
    @property
    def idle(self) -> Idle | None: ...

    def begin(self, rng: np.random.Generator, count: int) -> None:
        """Begins so many episodes, anywhere."""
        ...

    def look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gives frames (B, height, width, 3), proprio (B, S) and states (B, n)."""
        ...

    def step(self, actions: np.ndarray) -> None:
        """Takes actions (B, A)."""
        ...


class TabletopPlace:
    """Our scene: one simulation, in which all episodes are moved in turns."""

    idle = None
    moves = MOTION_SIZE

    def __init__(self, height: int, width: int) -> None:
        """For frames of that size [px]."""
        self.action_spec = ActionSpec.from_json(ACTION_SPEC)
        self._simulation = Simulation()
        self._camera = Camera(self._simulation.model, height, width)
        self._states: list[np.ndarray] = []

    def begin(self, rng: np.random.Generator, count: int) -> None:
        """Begins episodes with cube and arm anywhere."""
        self._states = []
        for _ in range(count):
            random_start(self._simulation, rng)
            self._states.append(self._simulation.get_state())

    def look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gives frames, proprio and states."""
        pixels, proprio = [], []
        for state in self._states:
            self._simulation.set_state(state)
            pixels.append(self._camera.render(self._simulation.data))
            proprio.append(self._simulation.proprio())
        return np.stack(pixels), np.stack(proprio), np.stack(self._states)

    def step(self, actions: np.ndarray) -> None:
        """Takes an action in each."""
        after = []
        for state, action in zip(self._states, actions, strict=True):
            self._simulation.set_state(state)
            self._simulation.step(action)
            after.append(self._simulation.get_state())
        self._states = after


class AdaptedPlace:
    """Any env with an adapter: one env for each episode, from the env's own starts."""

    def __init__(self, arena: AdaptedArena) -> None:
        """For the env of an arena."""
        self.action_spec = arena.action_spec
        self.moves = arena.action_spec.size
        self.idle = arena.idle
        self._pool: EnvPool = arena.pool
        self._envs: list[AdaptedEnv] = []
        self._seen: list[Observation] = []

    def begin(self, rng: np.random.Generator, count: int) -> None:
        """Begins episodes from seeds."""
        envs = self._pool.take(count)
        self._envs = [env for env in envs if isinstance(env, AdaptedEnv)]
        seeds = rng.integers(2**31, size=count)
        self._seen = [
            env.reset(seed=int(seed))[0]
            for env, seed in zip(self._envs, seeds, strict=True)
        ]

    def look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gives frames, proprio and states."""
        return (
            np.stack([seen["pixels"] for seen in self._seen]),
            np.stack([seen["proprio"] for seen in self._seen]),
            np.stack([env.get_state() for env in self._envs]),
        )

    def step(self, actions: np.ndarray) -> None:
        """Takes an action in each."""
        self._seen = [
            env.step(action)[0] for env, action in zip(self._envs, actions, strict=True)
        ]

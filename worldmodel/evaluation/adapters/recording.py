"""Records chance motion in an env, for who has an env and no data of it yet."""

from __future__ import annotations

import hashlib

import numpy as np

from worldmodel.data import DatasetSpec, Episode
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.adapters.adapted_env import AdaptedEnv
from worldmodel.evaluation.adapters.adapter import Adapter
from worldmodel.evaluation.adapters.finding import (
    make_adapter,
    require_methods,
    source_of,
)
from worldmodel.evaluation.adapters.fitting import env_spec

_HELD = (1, 6)  # steps that a random action is held for, at least and below


class ChanceRecorder:
    """Records episodes of random actions, each held for a few steps.

    Args:
        env_id: Id of the env.
        kind: Its adapter, which must have `state` and feel proprio.
        seed: Of the whole dataset.
        steps: Control steps of an episode.
        height: Of its frames [px].
        width: Of its frames [px].

    Raises:
        WorldModelError: The env cannot be made, or its adapter lacks something.
    """

    def __init__(
        self,
        env_id: str,
        kind: type[Adapter],
        seed: int,
        steps: int,
        height: int,
        width: int,
    ) -> None:
        require_methods(kind, ("state",), env_id)
        adapter = make_adapter(env_id, kind)
        self._id, self._seed, self._steps = env_id, seed, steps
        self._actions = env_spec(adapter)
        self._env = AdaptedEnv(adapter, self._actions, height, width)

    def record(self, index: int) -> Episode:
        """Records episode `index`, the same one on every call."""
        env, rng = self._env, np.random.default_rng([self._seed, index])
        observation, _ = env.reset(seed=int(rng.integers(2**31)))
        rows: list[tuple[np.ndarray, ...]] = []
        action, left = np.zeros(0, np.float32), 0
        for _ in range(self._steps):
            if left == 0:
                size = env.action_space.shape
                action = rng.uniform(-1, 1, size).astype(np.float32)
                left = int(rng.integers(*_HELD))
            left -= 1
            pixels, proprio = observation["pixels"], observation["proprio"]
            rows.append((pixels, action, proprio, env.get_state()))
            observation = env.step(action)[0]
        frames, actions, proprio, states = (
            np.stack(column) for column in zip(*rows, strict=True)
        )
        return Episode(frames, actions, proprio, states)

    def spec(self) -> DatasetSpec:
        """Gives what all its episodes have in common.

        Raises:
            WorldModelError: The adapter feels no proprio.
        """
        observation, _ = self._env.reset(seed=self._seed)
        kind, size = type(self._env.adapter), len(observation["proprio"])
        if not size:
            raise WorldModelError(
                "a recording has at least 1 number of proprio, the adapter "
                f"{kind.__name__} of env={self._id} gives none: set its `proprio`"
            )
        height, width, _ = observation["pixels"].shape
        source = hashlib.sha256(source_of(kind).encode()).hexdigest()[:12]
        play = {"env": self._id, "adapter": source}
        return DatasetSpec(
            height=height,
            width=width,
            proprio_names=tuple(f"proprio_{i}" for i in range(size)),
            sim_state_size=len(self._env.get_state()),
            action_spec=self._actions,
            collection={"seed": self._seed, "steps": self._steps, **play},
            robot_type=self._id,
        )

    def close(self) -> None:
        """Closes the env."""
        self._env.close()

"""Records a dataset of an env by chance motion, for who has an env and no data yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.action_spec import ActionSpec
from worldmodel.data import DatasetSpec, DatasetWriter, Episode
from worldmodel.evaluation.adapters.adapted_env import AdaptedEnv
from worldmodel.evaluation.adapters.adapter import Adapter
from worldmodel.evaluation.adapters.finding import make_adapter
from worldmodel.evaluation.adapters.fitting import env_spec

Act = Callable[[AdaptedEnv, np.random.Generator], np.ndarray]
_HELD = (1, 6)  # steps that a random action is held for, at least and below


def record_play(
    env_id: str,
    kind: type[Adapter],
    out: Path,
    episodes: int,
    steps: int = 50,
    side: int = 64,
) -> Path:
    """Records episodes of random actions, each held for a few steps.

    The same ones at every call; a dataset that is there already is continued.

    Args:
        env_id: Id of the env.
        kind: Its adapter, which must have `state` and `proprio`.
        out: Folder of the dataset.
        episodes: That it shall have.
        steps: Control steps of each.
        side: Height and width of its frames [px].

    Returns:
        The folder.
    """
    adapter = make_adapter(env_id, kind)
    spec = env_spec(adapter)
    env = AdaptedEnv(adapter, spec, side, side)
    try:
        observation, _ = env.reset(seed=0)
        dataset = spec_of(env, observation, spec, {"play": env_id, "steps": steps})
        with DatasetWriter(out, dataset) as writer:
            for index in writer.missing(episodes):
                rng = np.random.default_rng(index)
                writer.add(index, _episode(env, index, steps, rng))
    finally:
        env.close()
    return out


def spec_of(
    env: AdaptedEnv,
    observation: dict[str, np.ndarray],
    spec: ActionSpec,
    collection: dict[str, Any],
) -> DatasetSpec:
    """Gives what episodes of an env have in common.

    Args:
        env: The env, started.
        observation: One of its.
        spec: What its actions mean.
        collection: What determines an episode, with its index, as plain JSON.
    """
    height, width, _ = observation["pixels"].shape
    size = len(observation["proprio"])
    return DatasetSpec(
        height=height,
        width=width,
        proprio_names=tuple(f"proprio_{i}" for i in range(size)),
        sim_state_size=len(env.get_state()),
        action_spec=spec,
        collection=collection,
        robot_type=str(env.adapter.env.spec.id) if env.adapter.env.spec else "",
    )


def _episode(
    env: AdaptedEnv, seed: int, steps: int, rng: np.random.Generator
) -> Episode:
    observation, _ = env.reset(seed=seed)
    rows: list[tuple[np.ndarray, ...]] = []
    action, left = np.zeros(0, np.float32), 0
    for _ in range(steps):
        if left == 0:
            size = env.action_space.shape
            action = rng.uniform(-1, 1, size).astype(np.float32)
            left = int(rng.integers(*_HELD))
        left -= 1
        now = (observation["pixels"], action, observation["proprio"], env.get_state())
        rows.append(now)
        observation = env.step(action)[0]
    frames, actions, proprio, states = (
        np.stack(column) for column in zip(*rows, strict=True)
    )
    return Episode(frames, actions, proprio, states)

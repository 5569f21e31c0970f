"""Episodes of a scripted policy, by stable-worldmodel's own `World.collect`."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.peers.sources import Source
from worldmodel.data import DatasetSpec, Episode

SEED = 3072  # theirs
_APART = 1000  # seeds from one batch of episodes to the next


class Kept:
    """A writer of theirs that keeps what it is given in memory.

    Attributes:
        episodes: Columns of each finished episode, by name.
    """

    def __init__(self) -> None:
        self.episodes: list[Mapping[str, Sequence[Any]]] = []

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None:
        """Has nothing to close."""

    def write_episodes(self, episodes: Iterable[Mapping[str, Sequence[Any]]]) -> None:
        """Takes finished episodes."""
        self.episodes.extend(episodes)


def open_world(source: Source) -> Any:
    """Makes their envs, as their script does.

    Raises:
        ValueError: stable-worldmodel is not installed here.
    """
    try:
        swm = importlib.import_module("stable_worldmodel")
        importlib.import_module("stable_worldmodel.envs")
    except ImportError as error:
        raise ValueError(
            f"this needs stable-worldmodel and its envs ({error}): run "
            "`tools/peers.sh full`, then .venv-peers-full/bin/python"
        ) from error
    wrappers = [named(source.wrapper)] if source.wrapper else []
    return swm.World(
        source.env,
        num_envs=source.at_once,
        image_shape=(source.side, source.side),
        max_episode_steps=source.steps,
        pre_wrappers=wrappers,
        render_mode="rgb_array",
        **source.options,
    )


def named(name: str) -> Any:
    """Gives what "module:Name" names."""
    module, _, member = name.partition(":")
    return getattr(importlib.import_module(module), member)


def record(world: Any, source: Source, batch: int) -> list[Episode]:
    """Gives the episodes of a batch, the same ones at every call.

    Args:
        world: Of `open_world`.
        source: What acts in it.
        batch: Which; each has `source.at_once` episodes and seeds of its own.
    """
    seed = SEED + _APART * batch
    world.set_policy(named(source.policy)(seed=seed, **source.arguments))
    notes = {"policy": source.policy, "seed": seed}
    found: list[Episode] = []
    while len(found) < source.at_once:  # one that is solved at its start has one moment
        kept = Kept()
        world.collect(writer=kept, episodes=source.at_once, seed=seed, progress=False)
        whole = [columns for columns in kept.episodes if len(columns["action"]) > 1]
        found += [episode_of(columns, source, notes) for columns in whole]
        seed += source.at_once * 2
    return found[: source.at_once]


def episode_of(
    columns: Mapping[str, Sequence[Any]], source: Source, notes: Mapping[str, Any]
) -> Episode:
    """Gives an episode of theirs as one of ours, without its last moment.

    Their action column is turned by one row, so that a row has the action taken in it;
    the last row then has one that was not taken there.
    """

    def rows(name: str) -> np.ndarray:
        return np.stack([np.asarray(value) for value in columns[name][:-1]])

    state = [rows(name) for name in source.state]
    return Episode(
        frames=rows("pixels"),
        actions=rows("action").astype(np.float32),
        proprio=rows(source.proprio).astype(np.float32),
        sim_state=np.concatenate(state, axis=1).astype(np.float64),
        notes=notes,
    )


def dataset_spec(source: Source) -> DatasetSpec:
    """Gives what its episodes have in common."""
    collection = {
        "env": source.env,
        "policy": source.policy,
        "arguments": dict(source.arguments),
        "seed": SEED,
        "at_once": source.at_once,
        "steps": source.steps,
    }
    if source.options:
        collection["options"] = dict(source.options)
    return DatasetSpec(
        height=source.side,
        width=source.side,
        proprio_names=source.proprio_names,
        sim_state_size=source.state_size,
        action_spec=source.action_spec,
        collection=collection,
        robot_type=source.env,
    )

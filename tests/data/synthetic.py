"""Small made-up episodes, each a function of its index."""

import numpy as np

from worldmodel.action_spec import ActionSpec
from worldmodel.data import DatasetSpec, Episode

HEIGHT, WIDTH, PROPRIO, ACTION, SIM_STATE = 12, 16, 3, 2, 4


def action_spec(rate_hz: float = 5.0) -> ActionSpec:
    return ActionSpec(("dx", "grip"), ("m", "1"), (0.05, 1.0), ("world",) * 2, rate_hz)


def dataset_spec(seed: int = 0) -> DatasetSpec:
    return DatasetSpec(
        height=HEIGHT,
        width=WIDTH,
        proprio_names=("x", "y", "opening"),
        sim_state_size=SIM_STATE,
        action_spec=action_spec(),
        collection={"seed": seed, "mix": {"noise": 0.5, "push": 0.5}},
    )


def episode(index: int, length: int | None = None) -> Episode:
    """An episode whose pixels and numbers are random, so that no two rows are alike."""
    rng = np.random.default_rng(index)
    steps = length or 4 + index % 5
    return Episode(
        frames=rng.integers(0, 256, (steps, HEIGHT, WIDTH, 3), dtype=np.uint8),
        actions=rng.uniform(-1, 1, (steps, ACTION)).astype(np.float32),
        proprio=rng.normal(size=(steps, PROPRIO)).astype(np.float32),
        sim_state=rng.normal(size=(steps, SIM_STATE)),
        task="play" if index % 4 else "push the cube",
        notes={"behaviour": ["noise", "push"][index % 2]},
    )


def same(first: Episode, second: Episode) -> bool:
    arrays = ("frames", "actions", "proprio", "sim_state")
    return (
        all(np.array_equal(getattr(first, a), getattr(second, a)) for a in arrays)
        and first.task == second.task
        and first.notes == second.notes
    )

"""A toy world: a bright square that actions move over a dark picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from envs.simulation import ACTION_SPEC
from worldmodel.action_spec import ActionSpec
from worldmodel.data import DatasetSpec, FrameCache
from worldmodel.encoders import VideoViTSpec
from worldmodel.projectors.projector import ProjectorSpec
from worldmodel.training.loop import OnStep, Schedule, Training
from worldmodel.training.tokens import TokenCache

SIDE, EPISODES, STEPS = 16, 20, 12
ENCODER = VideoViTSpec(SIDE, SIDE, patch=8, dim=12, depth=1, heads=2, cell_dim=4)
PROJECTOR = ProjectorSpec(patches=4, token_dim=12, reduced=6, hidden=16, dim=8)


class Killed(Exception):
    """Stands for a kill."""


def kill_at(killed: int) -> OnStep:
    """Kills a training when it has done so many steps."""

    def kill(step: int, _: dict[str, float]) -> None:
        if step == killed:
            raise Killed

    return kill


def seeded(
    schedule: Schedule, path: Path | None = None, on_step: OnStep | None = None
) -> Training:
    """A training whose weights and batches follow from the seed 0."""
    torch.manual_seed(0)
    return Training(schedule, torch.Generator().manual_seed(0), path, on_step)


def toy_frames() -> FrameCache:
    """The world as a decoded dataset of `EPISODES`, in memory."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (EPISODES, STEPS, 5)).astype(np.float32)
    start = rng.uniform(3, SIDE - 3, (EPISODES, 1, 2))
    moves = np.concatenate([np.zeros((EPISODES, 1, 2)), actions[:, :-1, :2]], axis=1)
    places = np.clip(start + 2 * moves.cumsum(axis=1), 2, SIDE - 2).reshape(-1, 2)
    pixels = np.indices((SIDE, SIDE)).transpose(1, 2, 0) + 0.5  # (h, w, 2)
    gap = np.abs(pixels - places[:, None, None]).max(-1)  # (N, h, w)
    shade = (255 * np.clip(3 - gap, 0, 1)).astype(np.uint8)
    return FrameCache(
        path=Path("toy"),
        spec=DatasetSpec(
            height=SIDE,
            width=SIDE,
            proprio_names=("row", "column"),
            sim_state_size=2,
            action_spec=ActionSpec.from_json(ACTION_SPEC),
            collection={},
        ),
        fingerprint="0123456789ab" * 2,
        frames=np.repeat(shade[..., None], 3, axis=-1),
        actions=actions.reshape(-1, 5),
        proprio=places.astype(np.float32),
        sim_state=places,
        episodes=np.arange(EPISODES),
        offsets=np.arange(0, EPISODES * STEPS + 1, STEPS),
    )


def toy_tokens() -> TokenCache:
    """Tokens that are a fixed linear function of the square's place."""
    frames = toy_frames()
    mixing = np.random.default_rng(1).normal(size=(2, 4 * 12)) / 4
    tokens = (frames.proprio - 8) @ mixing
    return TokenCache(tokens.reshape(-1, 4, 12).astype(np.float16), frames)

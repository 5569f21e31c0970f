"""A model practises: it plans toward pictures of play, and its play is recorded.

A search finds what a model is most wrong about. Play that was recorded before there was
a model has hardly any of it; what the model itself does has. Learning from both, a
model stops believing what it found out not to work (as in Dyna, Sutton 1991; data
aggregation, Ross et al. 2011).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from envs.recording import Recording
from planners.mpc import MPC
from worldmodel.data import FrameCache
from worldmodel.evaluation.practice_places import PracticePlace
from worldmodel.evaluation.world_model_policy import WorldModelPolicy
from worldmodel.model import WorldModel
from worldmodel.vjepa2_ac.world_model import PatchWorldModel


@dataclass(frozen=True)
class PracticeRules:
    """How a model practises.

    Attributes:
        steps: control steps of an episode.
        group: episodes that are played side by side; part of what decides them.
        shortest: steps toward one goal, at least.
        longest: steps toward one goal, at most.
        noise: standard deviations of noise on the motion; each episode draws one.
        seed: decides starts, goals and noise.
    """

    steps: int = 48
    group: int = 20
    shortest: int = 16
    longest: int = 32
    noise: tuple[float, ...] = (0.0, 0.05, 0.15)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "group", "shortest"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.longest < self.shortest:
            raise ValueError(
                f"longest must be at least shortest={self.shortest}, got {self.longest}"
            )
        if not self.noise or min(self.noise) < 0:
            raise ValueError(f"noise must be numbers of at least 0, got {self.noise}")


@dataclass
class Practice:
    """Records groups of episodes in which a model pursues goals.

    Attributes:
        model: plans; side by side, so not bitwise as alone.
        mpc: planner, horizon and steps executed per plan.
        goals: play whose pictures are the goals.
        rules: how.
        place: where.
        cuda_graphs: whether plans are recorded as CUDA graphs.
        search: whether actions are searched for; without, the policy prior acts.
    """

    model: WorldModel | PatchWorldModel
    mpc: MPC
    goals: FrameCache
    rules: PracticeRules
    place: PracticePlace
    cuda_graphs: bool = False
    search: bool = True
    _policy: WorldModelPolicy = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.model.batch_invariant = False
        device = next(self.model.parameters()).device
        place = self.place
        self._policy = WorldModelPolicy(
            self.model,
            self.mpc,
            place.action_spec,
            device,
            self.cuda_graphs,
            place.idle,
            self.search,
        )

    def record(self, number: int) -> list[Recording]:
        """Records group `number`, the same one on every call on a machine."""
        rules, place, policy = self.rules, self.place, self._policy
        rng = np.random.default_rng([rules.seed, number])
        place.begin(rng, rules.group)
        seeds = rng.integers(2**62, size=rules.group)
        policy.start(self._pictures(rng, rules.group), seeds)
        left = self._patience(rng, rules.group)
        noise = rng.choice(rules.noise, size=(rules.group, 1))
        rows: list[tuple[np.ndarray, ...]] = []
        for _ in range(rules.steps):
            over = np.flatnonzero(left == 0)
            if len(over):
                policy.set_goal(over, self._pictures(rng, len(over)))
                left[over] = self._patience(rng, len(over))
            left -= 1
            pixels, proprio, states = place.look()
            actions = policy.act(pixels, proprio).actions.copy()
            motion = rng.standard_normal((rules.group, place.moves))
            actions[:, : place.moves] += noise * motion
            actions = np.clip(actions, -1.0, 1.0).astype(np.float32)
            policy.took(actions)
            rows.append((pixels, actions, proprio, states))
            place.step(actions)
        columns = [np.stack(column, axis=1) for column in zip(*rows, strict=True)]
        return [Recording(*(c[i] for c in columns)) for i in range(rules.group)]

    def _pictures(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Pictures of play, uint8 (count, height, width, 3)."""
        rows = rng.integers(len(self.goals.frames), size=count)
        return self.goals.frames_at(torch.from_numpy(rows)).numpy()

    def _patience(self, rng: np.random.Generator, count: int) -> np.ndarray:
        rules = self.rules
        return rng.integers(rules.shortest, rules.longest + 1, size=count)

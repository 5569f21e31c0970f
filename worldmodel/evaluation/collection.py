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

from envs.camera import Camera
from envs.recording import Recording
from envs.simulation import ACTION_SPEC, Simulation, random_start
from planners.mpc import MPC
from worldmodel.action_spec import ActionSpec
from worldmodel.data import FrameCache
from worldmodel.evaluation.world_model_policy import WorldModelPolicy
from worldmodel.model import WorldModel

_MOVES = 4  # action dimensions that move; the last one is the latch


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
        cuda_graphs: whether plans are recorded as CUDA graphs.
    """

    model: WorldModel
    mpc: MPC
    goals: FrameCache
    rules: PracticeRules
    cuda_graphs: bool = False
    _simulation: Simulation = field(init=False, repr=False)
    _camera: Camera = field(init=False, repr=False)
    _policy: WorldModelPolicy = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.model.batch_invariant = False
        device = next(self.model.parameters()).device
        spec = ActionSpec.from_json(ACTION_SPEC)
        self._policy = WorldModelPolicy(
            self.model, self.mpc, spec, device, self.cuda_graphs
        )
        self._simulation = Simulation()
        model = self._simulation.model
        self._camera = Camera(model, self.model.height, self.model.width)

    def record(self, number: int) -> list[Recording]:
        """Records group `number`, the same one on every call on a machine."""
        rules, simulation = self.rules, self._simulation
        rng = np.random.default_rng([rules.seed, number])
        states = []
        for _ in range(rules.group):
            random_start(simulation, rng)
            states.append(simulation.get_state())
        policy = self._policy
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
            pixels, proprio = self._look(states)
            actions = policy.act(pixels, proprio).actions.copy()
            motion = rng.standard_normal((rules.group, _MOVES))
            actions[:, :_MOVES] += noise * motion
            actions = np.clip(actions, -1.0, 1.0).astype(np.float32)
            policy.took(actions)
            rows.append((pixels, actions, proprio, np.stack(states)))
            states = self._step(states, actions)
        columns = [np.stack(column, axis=1) for column in zip(*rows, strict=True)]
        return [Recording(*(c[i] for c in columns)) for i in range(rules.group)]

    def _pictures(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Pictures of play, uint8 (count, height, width, 3)."""
        rows = rng.integers(len(self.goals.frames), size=count)
        return self.goals.frames_at(torch.from_numpy(rows)).numpy()

    def _patience(self, rng: np.random.Generator, count: int) -> np.ndarray:
        rules = self.rules
        return rng.integers(rules.shortest, rules.longest + 1, size=count)

    def _look(self, states: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Frames (B, height, width, 3) and proprio (B, S) of states."""
        pixels, proprio = [], []
        for state in states:
            self._simulation.set_state(state)
            pixels.append(self._camera.render(self._simulation.data))
            proprio.append(self._simulation.proprio())
        return np.stack(pixels), np.stack(proprio)

    def _step(self, states: list[np.ndarray], actions: np.ndarray) -> list[np.ndarray]:
        after = []
        for state, action in zip(states, actions, strict=True):
            self._simulation.set_state(state)
            self._simulation.step(action)
            after.append(self._simulation.get_state())
        return after

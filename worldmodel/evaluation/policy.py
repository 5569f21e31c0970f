"""What the runner asks for actions: the policy interface and the random floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from worldmodel.errors import WorldModelError

_RANDOM_POLICY_STREAM = 0x5EED


@dataclass(frozen=True)
class Decision:
    """The actions of one control step for all problems, and how they came about.

    Attributes:
        actions: float32 (B, A) in [-1, 1].
        cost: float64 (B,) cost of the plan made at this step, NaN where none was.
        invalid: bool (B,) problems where the planner found no finite candidate.
        evaluations: Candidates evaluated per problem at this step, 0 without a plan.
        imagine: Computes the latents (B, H, P, D) that the policy expects under its
            plan, None where it imagines nothing; a watcher may call it.
    """

    actions: np.ndarray
    cost: np.ndarray
    invalid: np.ndarray
    evaluations: int = 0
    imagine: Callable[[], Tensor] | None = None

    @classmethod
    def of_actions(cls, actions: np.ndarray) -> Decision:
        """Wraps actions that came without planning."""
        batch = len(actions)
        return cls(
            actions=np.asarray(actions, dtype=np.float32),
            cost=np.full(batch, np.nan),
            invalid=np.zeros(batch, dtype=bool),
        )


class Policy(Protocol):
    """Sees a goal image, camera frames and proprioception; nothing else."""

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        """Begins B episodes.

        Args:
            goal_images: uint8 (B, height, width, 3).
            seeds: int64 (B,) one seed per problem, for the planner's noise.
        """
        ...

    def act(self, pixels: np.ndarray, proprio: np.ndarray) -> Decision:
        """Gives the actions of the next control step.

        Args:
            pixels: uint8 (B, height, width, 3), the frames of this moment.
            proprio: float32 (B, S).
        """
        ...


@runtime_checkable
class Glancing(Protocol):
    """A policy that does not look at every frame, so that not all need be drawn.

    Attributes:
        looks: Whether the next `act` looks at the frames; it is given None where not.
    """

    @property
    def looks(self) -> bool: ...

    def act(self, pixels: np.ndarray | None, proprio: np.ndarray) -> Decision:
        """As `Policy.act`."""
        ...


@runtime_checkable
class Privileged(Protocol):
    """A policy that reads the simulator: an expert or a ceiling, never a method."""

    def see(self, states: np.ndarray, goals: np.ndarray) -> None:
        """Receives the true states and goal states (B, n) before each `act`."""
        ...


@dataclass
class RandomPolicy:
    """The floor: uniform actions, a function of the problem's seed and the step."""

    looks = False

    action_size: int
    _generators: list[np.random.Generator] = field(default_factory=list, init=False)

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        """Begins B episodes; the goal is ignored."""
        self._generators = [
            np.random.default_rng([int(seed), _RANDOM_POLICY_STREAM]) for seed in seeds
        ]

    def act(self, pixels: np.ndarray | None, proprio: np.ndarray) -> Decision:
        """Gives uniform actions in [-1, 1]."""
        if len(proprio) != len(self._generators):
            raise WorldModelError(
                f"started with {len(self._generators)} problems, "
                f"got proprio of {len(proprio)}"
            )
        rows = [
            generator.uniform(-1.0, 1.0, self.action_size)
            for generator in self._generators
        ]
        return Decision.of_actions(np.stack(rows))

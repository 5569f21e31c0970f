"""The record of one episode: everything that a table or plot needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldmodel.evaluation.policy import Decision

_DECIMALS = 6  # [um] is enough for a record


@dataclass(frozen=True)
class Episode:
    """What happened on one problem.

    Attributes:
        index: Place of the problem in its set.
        task: Name of the task.
        seed: Seed of the problem.
        success: Whether the task was solved after the last step of the budget.
        ever: Whether it was solved after any step.
        steps_to_success: Steps until it was solved first, None where never.
        distances: Main distance before the first and after each step (budget + 1).
        final: Every distance by name after the last step, [m] or [rad].
        closest: The smallest value of every distance over the episode.
        costs: Cost of the plan at each step, None where none was made.
        invalid: Steps at which the planner found no finite candidate.
        evaluations: Candidates evaluated over the episode.
        actions_hash: Hash of the float32 actions (budget, A).
    """

    index: int
    task: str
    seed: int
    success: bool
    ever: bool
    steps_to_success: int | None
    distances: tuple[float, ...]
    final: dict[str, float]
    closest: dict[str, float]
    costs: tuple[float | None, ...]
    invalid: int
    evaluations: int
    actions_hash: str

    @property
    def start_distance(self) -> float:
        """Gives the main distance before the first step."""
        return self.distances[0]

    @property
    def final_distance(self) -> float:
        """Gives the main distance after the last step."""
        return self.distances[-1]


@dataclass
class Trace:
    """The growing record of one problem."""

    distances: list[float] = field(default_factory=list)
    named: list[dict[str, float]] = field(default_factory=list)
    solved: list[bool] = field(default_factory=list)
    costs: list[float | None] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    invalid: int = 0
    evaluations: int = 0

    def see(self, info: dict[str, Any]) -> None:
        self.distances.append(round(float(info["distance"]), _DECIMALS))
        named = info["distances"].items()
        self.named.append({name: round(float(d), _DECIMALS) for name, d in named})
        self.solved.append(bool(info["is_success"]))

    def decide(self, decision: Decision, row: int) -> None:
        cost = float(decision.cost[row])
        self.costs.append(float(f"{cost:.6g}") if np.isfinite(cost) else None)
        self.actions.append(np.asarray(decision.actions[row], dtype=np.float32))
        self.invalid += int(decision.invalid[row])
        self.evaluations += decision.evaluations

    def episode(self, index: int, task: str, seed: int) -> Episode:
        after = self.solved[1:]
        return Episode(
            index=index,
            task=task,
            seed=seed,
            success=after[-1],
            ever=any(after),
            steps_to_success=after.index(True) + 1 if any(after) else None,
            distances=tuple(self.distances),
            final=self.named[-1],
            closest={k: min(named[k] for named in self.named) for k in self.named[0]},
            costs=tuple(self.costs),
            invalid=self.invalid,
            evaluations=self.evaluations,
            actions_hash=hash_actions(np.stack(self.actions)),
        )


def hash_actions(actions: np.ndarray) -> str:
    """Gives 16 hexadecimal digits of the hash of float32 actions (steps, A)."""
    content = np.ascontiguousarray(actions, dtype="<f4").tobytes()
    return hashlib.sha256(content).hexdigest()[:16]

"""The planning cost: a roll-out of candidate actions, and a distance to the goal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.costs.distances import TINY, LearnedDistances
from worldmodel.costs.ensemble import LEAST_JUDGED
from worldmodel.history import Context
from worldmodel.inputs import asks_for_gradient, require_sequences

Rollout = Callable[[Tensor], Tensor]
"""Actions (B, N, H, A) in [-1, 1] -> imagined latents (B, N, H, P, D)."""
FutureCost = Callable[[Tensor], Tensor]
"""Imagined latents (B, N, H, P, D) -> costs (B, N)."""

CHUNK = 16384  # candidates, side by side
CPU_CHUNK = 2048  # stays in a processor's cache: a third less time than 16384

# The learned distances that each term needs, and what to do where one is missing.
_NEEDS = {
    "latent": (),
    "temporal": ("temporal",),
    "latent_near": ("temporal", "latent"),
    "proprio_goal": ("temporal", "proprio"),
}
_LACKS = {
    "temporal": "has no learned distance; take cost=latent",
    "latent": "does not know how far latents go in a step; train it anew",
    "proprio": "does not tell proprio; train it with tabletop.goal_proprio above 0",
}
_NEAR_STEPS = (
    3.0  # temporal distance at which `latent_near` counts a third of what it may
)


@dataclass(frozen=True, eq=False)
class RolloutCost:
    """A `CostFn`, (B, N, H, A) -> (B, N): imagine, then measure; in chunks.

    Attributes:
        rollout: imagines what actions lead to, from the past of B problems.
        distance: imagined latents (B, N, H, P, D) -> costs (B, N).
        chunk: candidates imagined at once over all problems, which bounds memory; None
            for what suits the device.
    """

    rollout: Rollout
    distance: FutureCost
    chunk: int | None = None

    def __call__(self, actions: Tensor) -> Tensor:
        """Cost of each candidate; differentiable in the actions."""
        require_sequences(actions, None)
        usual = CPU_CHUNK if actions.device.type == "cpu" else CHUNK
        candidates = max(1, (self.chunk or usual) // actions.shape[0])
        parts = [
            self.distance(self.rollout(some))
            for some in actions.split(candidates, dim=1)
        ]
        return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class GoalCost:
    """Which distances to the goal are summed, and when along the plan.

    Attributes:
        latent: weight of the mean squared latent difference.
        temporal: weight of the learned distance, in units of its farthest value.
        latent_near: weight of how far the latent is from the goal's, in steps. It
            counts the more the nearer the temporal distance says the goal is, which
            cannot tell parts of a step.
        proprio_goal: weight of where the robot is, once objects are where they belong:
            all of it while the temporal distance is large, and near it the less the
            nearer the robot itself is to where the goal has it.
        move_threshold: objects that one of an episode's first moments (`Beginning`)
            shows no farther than this from where the goal has them need not be moved:
            there `proprio_goal` alone counts, and elsewhere the temporal distance alone
            [standard deviations of what the distance looks at]. 0: both count always.
        running: weight of the mean over the plan's steps; the rest, 1 - running, is on
            its last step.
        min_improvement: least gain over doing nothing for which a plan is executed,
            where the controller names none; what cheaper plans promise is then noise.
        judged: candidates that all predictors of a model judge, where it has several,
            of those that a search asks for at once; see `EnsembleCost`. 0: all.
    """

    latent: float = 1.0
    temporal: float = 0.0
    latent_near: float = 0.0
    proprio_goal: float = 0.0
    move_threshold: float = 0.0
    running: float = 0.3
    min_improvement: float = 0.01
    judged: int = 16

    def __post_init__(self) -> None:
        for name in (*_NEEDS, "move_threshold", "min_improvement"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be finite and at least 0, got {getattr(self, name)}"
                )
        if not any(getattr(self, name) for name in _NEEDS):
            raise ValueError(f"one of {[*_NEEDS]} must be above 0, all are 0")
        if not 0.0 <= self.running <= 1.0:
            raise ValueError(f"running must be in [0, 1], got {self.running}")
        if self.judged and self.judged < LEAST_JUDGED:
            raise ValueError(
                f"judged must be 0, for all, or at least {LEAST_JUDGED}, got "
                f"{self.judged}"
            )

    def require(self, learned: LearnedDistances) -> None:
        """Raises ValueError if a weight is above 0 whose distance is not there."""
        for name, needed in _NEEDS.items():
            missing = [part for part in needed if getattr(learned, part) is None]
            if getattr(self, name) and missing:
                raise ValueError(
                    f"cost.{name} is {getattr(self, name)}, but the model "
                    f"{_LACKS[missing[0]]}"
                )

    def distance(
        self,
        latents: Tensor,
        goals: Tensor,
        learned: LearnedDistances,
        moves: Tensor | None = None,
    ) -> Tensor:
        """Latents (..., P, D) and goals of a shape that broadcasts -> (...).

        `moves` (...), of a shape that broadcasts, is what `moves` says; None where
        something has to be moved.
        """
        self.require(learned)
        total = latents.new_zeros(latents.shape[:-2])
        if self.latent:
            total = total + self.latent * (latents - goals).square().mean((-2, -1))
        if learned.temporal is None or not (
            self.temporal or self.latent_near or self.proprio_goal
        ):
            return total
        flat, ends = latents.flatten(-2), goals.flatten(-2)
        steps = learned.temporal(flat, ends)
        if self.latent_near and learned.latent is not None:
            away = learned.latent(flat, ends)
            total = total + self.latent_near * _not_there(steps / _NEAR_STEPS, away)
        arriving = self.temporal * steps / learned.temporal.spec.farthest
        if not self.move_threshold:
            return total + arriving + self._posing(flat, ends, learned, steps)
        if moves is None:
            return total + arriving
        posing = self._posing(flat, ends, learned, torch.zeros_like(steps))
        return total + torch.where(moves, arriving, posing)

    def _posing(
        self, flat: Tensor, ends: Tensor, learned: LearnedDistances, steps: Tensor
    ) -> Tensor:
        """What the robot's pose costs, things being `steps` from their goal."""
        if not self.proprio_goal or learned.proprio is None:
            return torch.zeros_like(steps)
        away = (learned.proprio(flat, ends) + TINY).sqrt()
        return self.proprio_goal * _not_there(steps, away)

    def moves(
        self, beginning: Tensor, goals: Tensor, learned: LearnedDistances
    ) -> Tensor | None:
        """Bool (B,): whether something has to be moved; None where that is all one.

        A hand before a cube seems to hold it. Where one of the first moments shows
        things at their places, no hand has been there to bring them.

        Args:
            beginning: (B, S, P, D) the first moments of episodes.
            goals: (B, P, D).
            learned: the model's distances.
        """
        if not self.move_threshold or learned.temporal is None:
            return None
        ends = goals.flatten(-2)[:, None]
        gaps = learned.temporal.gap(beginning.flatten(-2), ends)
        return gaps.amin(dim=1) > self.move_threshold

    def along(
        self,
        futures: Tensor,
        goals: Tensor,
        learned: LearnedDistances,
        moves: Tensor | None = None,
    ) -> Tensor:
        """Futures (B, N, H, P, D) and goals (B, P, D) -> (B, N).

        `moves` (B,) is what `moves` says; None where something has to be moved.
        """
        if moves is not None:
            moves = moves[:, None, None]
        steps = self.distance(futures, goals[:, None, None], learned, moves)
        return (1 - self.running) * steps[..., -1] + self.running * steps.mean(-1)

    def toward(
        self,
        goals: Tensor,
        past: Context,
        learned: LearnedDistances,
        fast: LearnedDistances | None = None,
    ) -> FutureCost:
        """What futures cost, from one past toward goals (B, P, D).

        Args:
            goals: (B, P, D).
            past: how the episodes began.
            learned: the model's distances.
            fast: their inference copy, used where no gradient is asked for.
        """
        moves = self.moves(past.beginning.latents, goals, learned)

        def cost(futures: Tensor) -> Tensor:
            if fast is None or asks_for_gradient(futures):
                return self.along(futures, goals, learned, moves)
            return self.along(futures, goals, fast, moves)

        return cost


def _not_there(steps: Tensor, away: Tensor) -> Tensor:
    """From 0, at the goal, to 1: far in steps, whatever `away`, or far by `away`."""
    return 1 - torch.exp(-steps) / (1 + away)


def single_costs(learned: LearnedDistances) -> dict[str, GoalCost]:
    """A cost of each distance alone, by name, of those that a model has."""
    costs = {"latent": GoalCost()}
    if learned.temporal is not None:
        costs["temporal"] = GoalCost(latent=0.0, temporal=1.0)
    return costs

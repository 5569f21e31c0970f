"""Latent goal costs: how far the imagined future stays from the goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel.costs.learned import LearnedDistances
from worldmodel.history import Context
from worldmodel.inference.gradient import asks_for_gradient


class Imagines(Protocol):
    """What a goal cost asks of a world model."""

    def imagination(self, context: Context) -> Callable[[Tensor], Tensor]:
        """Gives what maps actions (B, N, H, A) to latents (B, N, H, P, D)."""
        ...


_LACKS = {
    "temporal": "has no learned distance; take cost=latent",
    "felt": "does not tell what is felt; train it with felt above 0",
    "seen": "does not tell what is seen; train it with words above 0",
}
# What is weighed, and the learned distances that each needs.
_TERMS = {
    "latent": (),
    "temporal": ("temporal",),
    "felt": ("felt",),
    "seen": ("seen",),
    "pose": ("temporal", "felt"),
    "things": ("temporal",),
}
_TINY = 1e-8  # keeps the root's gradient finite


@dataclass(frozen=True)
class GoalCost:
    """Which distances to the goal are summed, and when along the plan.

    Attributes:
        latent: weight of the mean squared latent difference.
        temporal: weight of the learned distance, in units of its farthest value.
        felt: weight of the difference in what the robot would feel.
        seen: weight of the difference in where things are that the robot is not.
        pose: weight of where the robot is, once things are where they belong: in
            [0, pose], pose while the temporal distance is large, and near it the less
            the nearer the robot itself is to where the goal has it.
        slack: temporal distance that counts as none [model steps].
        things: weight of how far things are from where the goal has them, along the
            directions of the temporal distance's goal.
        still: how far that is in the first moments of an episode (`Beginning`), at
            most, where nothing has to be moved: there `pose` counts from the start and
            the temporal distance does not, and elsewhere it is the other way round. 0:
            both count always.
        there: how far things may be from where the goal has them and be there: neither
            the temporal distance nor `things` counts then, so nothing is to be gained
            by moving them on.
        path: weight of the mean over the plan's steps; the rest, 1 - path, is on its
            last step.
        effort: weight of the mean squared action.
    """

    latent: float = 1.0
    temporal: float = 0.0
    felt: float = 0.0
    seen: float = 0.0
    pose: float = 0.0
    slack: float = 0.0
    things: float = 0.0
    still: float = 0.0
    there: float = 0.0
    path: float = 0.3
    effort: float = 0.0

    def __post_init__(self) -> None:
        for name in (*_TERMS, "slack", "still", "there", "effort"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name} must be at least 0, got {getattr(self, name)}"
                )
        if not any(getattr(self, name) for name in _TERMS):
            raise ValueError(f"one of {[*_TERMS]} must be above 0, all are 0")
        if not 0.0 <= self.path <= 1.0:
            raise ValueError(f"path must be in [0, 1], got {self.path}")

    def require(self, learned: LearnedDistances) -> None:
        """Raises ValueError if a weight is above 0 whose distance is not there."""
        for name, needed in _TERMS.items():
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
        flat, ends = latents.flatten(-2), goals.flatten(-2)
        reads = {"felt": learned.felt, "seen": learned.seen}
        for name, read in reads.items():
            if getattr(self, name) and read is not None:
                total = total + getattr(self, name) * read(flat, ends)
        if learned.temporal is None:
            return total
        gap = learned.temporal.gap(flat, ends)
        there = gap <= self.there
        if self.things:
            total = total + self.things * gap.masked_fill(there, 0.0)
        if not (self.temporal or self.pose):
            return total
        steps = (learned.temporal(flat, ends) - self.slack).clamp(min=0.0)
        steps = steps.masked_fill(there, 0.0)
        arriving = self.temporal * steps / learned.temporal.spec.farthest
        posing = torch.zeros_like(steps)
        if self.pose and learned.felt is not None:
            away = (learned.felt(flat, ends) + _TINY).sqrt()
            near = torch.zeros_like(steps) if self.still else steps
            posing = self.pose * (1 - torch.exp(-near) / (1 + away))
        if not self.still:
            return total + arriving + posing
        if moves is None:
            return total + arriving
        return total + torch.where(moves, arriving, posing)

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
        if not self.still or learned.temporal is None:
            return None
        ends = goals.flatten(-2)[:, None]
        gaps = learned.temporal.gap(beginning.flatten(-2), ends)
        return gaps.amin(dim=1) > self.still

    def along(
        self,
        futures: Tensor,
        goals: Tensor,
        learned: LearnedDistances,
        past: Context | None = None,
    ) -> Tensor:
        """Futures (B, N, H, P, D) and goals (B, P, D) -> (B, N), without effort.

        `past` tells how the episodes began; None where something has to be moved.
        """
        moves = None
        if past is not None:
            moves = self.moves(past.beginning.latents, goals, learned)
        return self.weighed(futures, goals, learned, moves)

    def weighed(
        self,
        futures: Tensor,
        goals: Tensor,
        learned: LearnedDistances,
        moves: Tensor | None,
    ) -> Tensor:
        """As `along`, where `moves` (B,) is known."""
        if moves is not None:
            moves = moves[:, None, None]
        steps = self.distance(futures, goals[:, None, None], learned, moves)
        return (1 - self.path) * steps[..., -1] + self.path * steps.mean(-1)


def single_costs(learned: LearnedDistances) -> dict[str, GoalCost]:
    """A cost of each distance alone, by name, of those that a model has learned."""
    there = {"latent": GoalCost()}
    for name in _LACKS:
        if getattr(learned, name) is not None:
            there[name] = GoalCost(latent=0.0, **{name: 1.0})
    return there


TILE = 64  # candidates
SMALL_TILES = (8, 32)  # for as many candidates or fewer, asked for alone
CHUNK = 16384  # candidates, side by side
CPU_CHUNK = 2048  # stays in a processor's cache: a third less time than 16384


@dataclass(frozen=True)
class LatentGoalCost:
    """A `CostFn`: (B, N, H, A) in [-1, 1] -> (B, N), by imagination.

    Where `alone` the candidates of a problem are imagined in tiles of one fixed shape
    (the last one padded): matrix products round differently with the number of rows,
    so this makes a candidate's cost bitwise independent of the batch, of its place in
    it and of chunking. A call for few candidates takes a smaller tile (`SMALL_TILES`),
    which takes less time, and whose last bits may differ. Where not `alone`, all
    problems are imagined at once, in chunks.

    Attributes:
        model: imagines.
        context: the past of B problems.
        goals: (B, P, D).
        kind: which distance.
        learned: the distances that `kind` may use.
        fast: the same, in the precision of planning; None for `learned`.
        alone: whether each problem is imagined alone, on a CPU.
        chunk: candidates imagined at once over all problems otherwise, which bounds
            memory; None for what suits the device.
    """

    model: Imagines
    context: Context
    goals: Tensor
    kind: GoalCost
    learned: LearnedDistances
    fast: LearnedDistances | None = None
    alone: bool = True
    chunk: int | None = None

    def __call__(self, actions: Tensor) -> Tensor:
        """Cost of each candidate; differentiable in the actions."""
        if self.alone and actions.device.type == "cpu":
            rows = [
                self._tiled(problem, some)
                for problem, some in zip(self._apart, actions.split(1), strict=True)
            ]
            return torch.cat(rows)
        usual = CPU_CHUNK if actions.device.type == "cpu" else CHUNK
        candidates = max(1, (self.chunk or usual) // actions.shape[0])
        parts = [
            self._cost(self._together, some)
            for some in actions.split(candidates, dim=1)
        ]
        return torch.cat(parts, dim=1)

    @cached_property
    def _together(self) -> _Problems:
        return self._problems(self.context, self.goals)

    @cached_property
    def _apart(self) -> list[_Problems]:
        """Each problem alone, in memory of its own."""
        return [
            self._problems(self.context.problem(b), goal.clone())
            for b, goal in enumerate(self.goals.split(1))
        ]

    def _problems(self, context: Context, goals: Tensor) -> _Problems:
        beginning = context.beginning.latents
        moves = self.kind.moves(beginning, goals, self.learned)
        return _Problems(self.model.imagination(context), goals, moves)

    def _tiled(self, problem: _Problems, actions: Tensor) -> Tensor:
        """Costs (1, N) of one problem's candidates (1, N, H, A)."""
        count = actions.shape[1]
        rows = next((few for few in SMALL_TILES if count <= few), TILE)
        padded = F.pad(actions, (0, 0, 0, 0, 0, -count % rows))
        parts = [self._cost(problem, tile) for tile in padded.split(rows, dim=1)]
        return torch.cat(parts, dim=1)[:, :count]

    def _cost(self, problems: _Problems, actions: Tensor) -> Tensor:
        future = problems.imagine(actions)  # (B, N, H, P, D)
        learned = self.fast or self.learned
        if asks_for_gradient(actions):
            learned = self.learned
        cost = self.kind.weighed(future, problems.goals, learned, problems.moves)
        return cost + self.kind.effort * actions.square().mean((-2, -1))


@dataclass(frozen=True, eq=False)
class _Problems:
    """What is the same for all candidates of B problems.

    Attributes:
        imagine: actions (B, N, H, A) -> latents (B, N, H, P, D).
        goals: (B, P, D).
        moves: (B,) what `GoalCost.moves` says.
    """

    imagine: Callable[[Tensor], Tensor]
    goals: Tensor
    moves: Tensor | None

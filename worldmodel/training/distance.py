"""Stage 4: the learned goal distance, on frozen latents."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worldmodel.costs.distances import (
    TemporalDistance,
    TemporalDistanceSpec,
)
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.training.chance import on_device, uniform, whole_numbers
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.objectives.vjepa import ema_update
from worldmodel.training.updates import Job


@dataclass(frozen=True)
class DistanceRecipe:
    """How the temporal distance is learned.

    Goals are drawn in hindsight, from what came later in the episode, or at random
    from other episodes; the distance is a value function of "one per step until
    there", learned by expectile regression (IVL as in HIQL, Park et al. 2023, after
    Kostrikov et al. 2022) on targets of one to `ahead` steps: what is known of the
    goal travels that many times faster, and the low expectile passes over what the
    play wasted between. With `success_radius` every state so near a goal has
    arrived, whichever episode it is from.

    Attributes:
        hidden: width of the hidden layers.
        discount: of the value that the distance is read from, in (0, 1).
        success_radius: distance along the goal's directions below which a goal is
            reached; 0 where only the goal itself counts.
        expectile: of the distance; below 0.5 it tends to the shortest way seen.
        ahead: steps that a target looks ahead, at most; drawn anew for every pair.
        momentum: of the moving average that gives the targets.
        batch: pairs per step.
        later: share of goals from the same episode's future.
        here: share of goals that are the state itself.
    """

    hidden: int = 512
    discount: float = 0.96
    success_radius: float = 0.0
    expectile: float = 0.2
    ahead: int = 8
    momentum: float = 0.98
    batch: int = 1024
    later: float = 0.6
    here: float = 0.1

    def __post_init__(self) -> None:
        self.spec(GoalProjectionSpec())
        if not 0.0 < self.expectile < 1.0:
            raise ValueError(f"expectile must be in (0, 1), got {self.expectile}")
        for name in ("ahead", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"momentum must be in [0, 1], got {self.momentum}")
        if not (self.later >= 0 and self.here >= 0 and self.later + self.here <= 1):
            raise ValueError(
                f"later and here must be shares that sum to at most 1, got "
                f"{self.later} and {self.here}"
            )

    def spec(self, projection: GoalProjectionSpec) -> TemporalDistanceSpec:
        """Architecture on what is looked at in a latent."""
        return TemporalDistanceSpec(
            projection, self.hidden, self.discount, self.success_radius
        )


class DistanceLearner(nn.Module):
    """The distance and its moving average.

    Args:
        spec: architecture.
        directions: (spec.projection.state_dim, D) of the latents that it shall look
            at; None for the whole latent.
    """

    def __init__(self, spec: TemporalDistanceSpec, directions: Tensor | None) -> None:
        super().__init__()
        self.online = TemporalDistance(spec)
        if directions is not None:
            self.online.projection.along(directions)
        self.target = deepcopy(self.online).requires_grad_(False)


def distance_job(
    recipe: DistanceRecipe,
    learner: DistanceLearner,
    data: LatentEpisodes,
    generator: torch.Generator,
) -> Job:
    """Learns the distance.

    Args:
        recipe: how.
        learner: learns, in place.
        data: latents of the training episodes.
        generator: source of randomness.
    """
    spec = learner.online.spec

    def draw() -> Pairs:
        source = on_device(generator, data.rows.device)
        now, goal = draw_pairs(recipe, data, source)
        most = whole_numbers(1, recipe.ahead + 1, len(now), generator=source)
        return Pairs(now, goal, most)

    def loss(drawn: Pairs) -> dict[str, Tensor]:
        now, goal = drawn.now, drawn.goal
        latents, goals = data.latents[now], data.latents[goal]
        with torch.no_grad():
            path = arrivals(learner.target, data, now, goal, recipe.ahead)
            steps = look_ahead(path, data.last[now] - now, drawn.steps)
            then = now + steps
            left = learner.target(data.latents[then], goals)
            there = path.gather(1, steps[:, None])[:, 0]
            fade = (spec.discount**steps).to(left)
            target = (1 - fade) * spec.farthest + fade * left.where(~there, 0.0)
            target = target.where(~path[:, 0], 0.0)
        predicted = learner.online(latents, goals)
        total = expectile_loss(target - predicted, recipe.expectile)
        return {"total": total, "mean": predicted.mean()}

    def follow() -> None:
        ema_update(learner.target, learner.online, recipe.momentum)

    return Job(learner, loss, follow, draw)


@dataclass(frozen=True)
class Pairs:
    """States with goals.

    Attributes:
        now: (B,) rows of states that have a next one.
        goal: (B,) rows of goals.
        steps: (B,) that targets look ahead, at most.
    """

    now: Tensor
    goal: Tensor
    steps: Tensor


def draw_pairs(
    recipe: DistanceRecipe, data: LatentEpisodes, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows (batch,) of states that have a next one, and rows (batch,) of goals."""
    count = recipe.batch
    now = data.draw(count, generator)
    ahead = data.last[now] - now
    share = uniform(count, generator=generator)
    later = now + 1 + (share * ahead).long().minimum(ahead - 1)
    goal = data.draw(count, generator)
    kind = uniform(count, generator=generator)
    goal = torch.where(kind < recipe.later, later, goal)
    goal = torch.where(kind > 1 - recipe.here, now, goal)
    return now, goal


def arrivals(
    distance: TemporalDistance,
    data: LatentEpisodes,
    now: Tensor,
    goal: Tensor,
    ahead: int,
) -> Tensor:
    """Bool (B, ahead + 1): whether the goal is reached 0 to `ahead` steps after `now`.

    Beyond an episode's end its last row stands. The goal's own row has arrived; others
    have if the distance says so (`spec.success_radius`).
    """
    path = now[:, None] + torch.arange(ahead + 1, device=now.device)
    path = torch.minimum(path, data.last[now][:, None])
    there = path == goal[:, None]
    if distance.spec.success_radius:
        goals = data.latents[goal][:, None]
        there = there | distance.arrived(data.latents[path], goals)
    return there


def look_ahead(path: Tensor, left: Tensor, steps: Tensor) -> Tensor:
    """Steps (B,) that targets look ahead.

    Args:
        path: (B, ahead + 1) of `arrivals`; no step goes beyond the first arrival.
        left: (B,) steps to the end of the episode, at least 1.
        steps: (B,) to look ahead at most, at least 1.
    """
    return torch.minimum(torch.minimum(steps, first_arrival(path)), left)


def first_arrival(path: Tensor) -> Tensor:
    """Steps (B,) until the first arrival after now, `ahead` where there is none.

    Args:
        path: (B, ahead + 1) of `arrivals`.
    """
    later = path[:, 1:]
    first = later.int().argmax(dim=1) + 1  # 1 where there is none
    return torch.where(later.any(dim=1), first, later.shape[1])


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """Asymmetric square of `target - prediction` (Newey & Powell 1987), mean.

    Args:
        error: target minus prediction.
        expectile: in (0, 1); below 0.5 the prediction tends to the smaller targets.
    """
    weight = torch.where(error > 0, expectile, 1.0 - expectile)
    return (weight * error.square()).mean()

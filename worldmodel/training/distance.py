"""Stage 4: the learned goal distance, on frozen latents."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from worldmodel.costs.temporal import (
    TemporalDistance,
    TemporalDistanceSpec,
    expectile_loss,
)
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Job, OnStep, Schedule, fit
from worldmodel.training.objectives.vjepa import ema_update


@dataclass(frozen=True)
class DistanceRecipe:
    """How the temporal distance is learned.

    Goals are drawn in hindsight, from what came later in the episode, or at random
    from other episodes; the distance is a value function of "one per step until
    there", learned by expectile regression (IVL as in HIQL, Park et al. 2023, after
    Kostrikov et al. 2022) on targets of one to `ahead` steps: what is known of the
    goal travels that many times faster, and the low expectile passes over what the
    play wasted between. With `spec.success_radius` every state so near a goal has
    arrived, whichever episode it is from.

    Attributes:
        schedule: steps and learning rate.
        spec: architecture and discount.
        expectile: of the distance; below 0.5 it tends to the shortest way seen.
        batch: pairs per step.
        later: share of goals from the same episode's future.
        here: share of goals that are the state itself.
        ahead: steps that a target looks ahead, at most; drawn anew for every pair.
        momentum: of the moving average that gives the targets.
        seed: decides weights and batches.
    """

    schedule: Schedule
    spec: TemporalDistanceSpec
    expectile: float = 0.2
    batch: int = 1024
    later: float = 0.6
    here: float = 0.1
    ahead: int = 1
    momentum: float = 0.995
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.expectile < 1.0:
            raise ValueError(f"expectile must be in (0, 1), got {self.expectile}")
        if self.ahead < 1:
            raise ValueError(f"ahead must be at least 1, got {self.ahead}")
        if not (self.later >= 0 and self.here >= 0 and self.later + self.here <= 1):
            raise ValueError(
                f"later and here must be shares that sum to at most 1, got "
                f"{self.later} and {self.here}"
            )


class _Learner(nn.Module):
    """The distance and its moving average."""

    def __init__(self, spec: TemporalDistanceSpec, directions: Tensor | None) -> None:
        super().__init__()
        self.online = TemporalDistance(spec)
        if directions is not None:
            self.online.projection.along(directions)
        self.target = deepcopy(self.online).requires_grad_(False)


def train_distance(
    recipe: DistanceRecipe,
    data: LatentEpisodes,
    state_path: Path | None = None,
    on_step: OnStep | None = None,
    directions: Tensor | None = None,
) -> TemporalDistance:
    """Learns the distance; resumes from `state_path` where it exists.

    Args:
        recipe: architecture and schedule.
        data: latents of the training episodes.
        state_path: where the state of the training is kept.
        on_step: called with the steps done and the smoothed loss terms.
        directions: (spec.projection.state_dim, D) of the latents that it shall look at.
    """
    torch.manual_seed(recipe.seed)
    device = data.latents.device
    learner = _Learner(recipe.spec, directions).to(device)
    generator = torch.Generator().manual_seed(recipe.seed)

    def loss() -> dict[str, Tensor]:
        now, goal = draw_pairs(recipe, data, generator)
        latents, goals = data.latents[now], data.latents[goal]
        with torch.no_grad():
            path = arrivals(learner.target, data, now, goal, recipe.ahead)
            steps = look_ahead(path, data.last[now] - now, generator)
            then = now + steps
            left = learner.target(data.latents[then], goals)
            there = path.gather(1, steps[:, None])[:, 0].to(left.device)
            fade = (recipe.spec.discount**steps).to(left)
            target = (1 - fade) * recipe.spec.farthest + fade * left.where(~there, 0.0)
            target = target.where(~path[:, 0].to(left.device), 0.0)
        predicted = learner.online(latents, goals)
        total = expectile_loss(target - predicted, recipe.expectile)
        return {"total": total, "mean": predicted.mean()}

    def follow() -> None:
        ema_update(learner.target, learner.online, recipe.momentum)

    job = Job(learner, loss, generator, follow)
    fit(job, recipe.schedule, state_path, on_step)
    return learner.online


def draw_pairs(
    recipe: DistanceRecipe, data: LatentEpisodes, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows (batch,) of states that have a next one, and rows (batch,) of goals."""
    count = recipe.batch
    now = data.draw(count, generator)
    ahead = data.last[now] - now
    share = torch.rand(count, generator=generator)
    later = now + 1 + (share * ahead).long().clamp(max=ahead - 1)
    goal = data.draw(count, generator)
    kind = torch.rand(count, generator=generator)
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
    path = now[:, None] + torch.arange(ahead + 1)
    path = torch.minimum(path, data.last[now][:, None])
    there = path == goal[:, None]
    if distance.spec.success_radius:
        goals = data.latents[goal][:, None]
        there = there | distance.arrived(data.latents[path], goals).cpu()
    return there


def look_ahead(path: Tensor, left: Tensor, generator: torch.Generator) -> Tensor:
    """Steps (B,) that targets look ahead: at least one, drawn anew for every pair.

    Args:
        path: (B, ahead + 1) of `arrivals`; no step goes beyond the first arrival.
        left: (B,) steps to the end of the episode, at least 1.
        generator: source of randomness.
    """
    ahead = path.shape[1] - 1
    steps = torch.randint(1, ahead + 1, left.shape, generator=generator)
    return torch.minimum(torch.minimum(steps, first_arrival(path)), left)


def first_arrival(path: Tensor) -> Tensor:
    """Steps (B,) until the first arrival after now, `ahead` where there is none.

    Args:
        path: (B, ahead + 1) of `arrivals`.
    """
    later = path[:, 1:]
    first = later.int().argmax(dim=1) + 1  # 1 where there is none
    return torch.where(later.any(dim=1), first, later.shape[1])

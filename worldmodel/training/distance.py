"""Stage three: the learned goal distance, on frozen latents."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from worldmodel.data import FrameCache
from worldmodel.distances.temporal import (
    TemporalDistance,
    TemporalDistanceSpec,
    expectile_loss,
)
from worldmodel.predictors import Compressor
from worldmodel.pretraining.vjepa import ema_update
from worldmodel.training.felt import training_rows
from worldmodel.training.loop import Job, OnStep, Schedule, fit
from worldmodel.training.tokens import TokenCache


@dataclass(frozen=True)
class DistanceRecipe:
    """How the temporal distance is learned.

    Goals are drawn in hindsight, from what came later in the episode, or at random
    from other episodes; the distance is a value function of "one per step until
    there", learned by expectile regression (IVL as in HIQL, Park et al. 2023, after
    Kostrikov et al. 2022) on targets of one to `ahead` steps: what is known of the
    goal travels that many times faster, and the low expectile passes over what the
    play wasted between.

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


@dataclass(frozen=True, eq=False)
class LatentEpisodes:
    """Latents of the training episodes.

    Attributes:
        latents: (N, D) all rows.
        first: (N,) row where the episode of each row begins.
        last: (N,) its last row.
        rows: (M,) rows of the training split that have a next one.
    """

    latents: Tensor
    first: Tensor
    last: Tensor
    rows: Tensor

    @classmethod
    def of(cls, latents: Tensor, frames: FrameCache) -> LatentEpisodes:
        """Latents (N, D) of all rows of a dataset, with its episodes and split."""
        offsets = torch.from_numpy(frames.offsets)
        lengths = offsets[1:] - offsets[:-1]
        first = offsets[:-1].repeat_interleave(lengths)
        last = (offsets[1:] - 1).repeat_interleave(lengths)
        rows = torch.arange(len(first))
        usable = training_rows(frames) & (rows < last)
        return cls(latents, first, last, rows[usable])


class _Learner(nn.Module):
    """The distance and its moving average."""

    def __init__(self, spec: TemporalDistanceSpec, directions: Tensor | None) -> None:
        super().__init__()
        self.online = TemporalDistance(spec)
        if directions is not None:
            self.online.look_at(directions)
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
        directions: (spec.read, D) of the latents that it shall look at.
    """
    torch.manual_seed(recipe.seed)
    device = data.latents.device
    learner = _Learner(recipe.spec, directions).to(device)
    generator = torch.Generator().manual_seed(recipe.seed)

    def loss() -> dict[str, Tensor]:
        now, goal = draw_pairs(recipe, data, generator)
        then = draw_later(recipe, data, now, goal, generator)
        latents, goals = data.latents[now], data.latents[goal]
        with torch.no_grad():
            left = learner.target(data.latents[then], goals)
            left = torch.where(then == goal, 0.0, left)
            fade = recipe.spec.discount ** (then - now)
            target = (1 - fade) * recipe.spec.farthest + fade * left
            target = torch.where(now == goal, 0.0, target)
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
    now = _pick(data.rows, count, generator)
    ahead = data.last[now] - now
    share = torch.rand(count, generator=generator)
    later = now + 1 + (share * ahead).long().clamp(max=ahead - 1)
    goal = _pick(data.rows, count, generator)
    kind = torch.rand(count, generator=generator)
    goal = torch.where(kind < recipe.later, later, goal)
    goal = torch.where(kind > 1 - recipe.here, now, goal)
    return now, goal


def draw_later(
    recipe: DistanceRecipe,
    data: LatentEpisodes,
    now: Tensor,
    goal: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Rows (batch,) that targets of states `now` look ahead to.

    One to `recipe.ahead` steps later, not beyond the episode's end and not beyond a
    goal that lies on the way.
    """
    steps = torch.randint(1, recipe.ahead + 1, now.shape, generator=generator)
    end = data.last[now]
    on_the_way = (goal > now) & (goal <= end)
    return torch.minimum(now + steps, torch.where(on_the_way, goal, end))


@torch.no_grad()
def latent_episodes(
    compressor: Compressor, cache: TokenCache, chunk: int = 4096
) -> LatentEpisodes:
    """Compresses every frame's tokens, on the compressor's device."""
    device = next(compressor.parameters()).device
    parts = []
    for start in range(0, len(cache.tokens), chunk):
        rows = torch.arange(start, min(start + chunk, len(cache.tokens)))
        parts.append(compressor(cache.at(rows).to(device).float()))
    return LatentEpisodes.of(torch.cat(parts), cache.frames)


def principal_directions(latents: Tensor, weight: Tensor, count: int) -> Tensor:
    """Directions (count, D) along which what is read from latents varies most.

    Args:
        latents: (N, D).
        weight: (S, D) of the read-out.
        count: at most S.

    Returns:
        Rows of the span of `weight`, scaled so that latents have variance 1 along them.
    """
    told = (latents - latents.mean(dim=0)) @ weight.T
    _, axes = torch.linalg.eigh(told.T @ told)  # by growing variance
    rows = axes.T.flip(0)[:count] @ weight
    return rows / (latents @ rows.T).std(dim=0)[:, None].clamp(min=1e-6)


def _pick(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return rows[torch.randint(len(rows), (count,), generator=generator)]

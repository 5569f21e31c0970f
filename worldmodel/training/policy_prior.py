"""Stage 5: the policy prior, on frozen latents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.costs.distances import TemporalDistance
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.policy_prior import PolicyPrior, PolicyPriorSpec
from worldmodel.training.chance import on_device, uniform
from worldmodel.training.distance import arrivals, first_arrival
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.updates import Job

_MOST = 20.0  # weight of an action, before all are scaled to 1 on average


@dataclass(frozen=True)
class PolicyPriorRecipe:
    """How the policy prior is learned.

    Goals are drawn in hindsight, or from other episodes; the actions of play count by
    how much nearer they came to them by the temporal distance (advantage-weighted
    regression, Peng et al. 2019; with a goal-conditioned value as in HIQL, Park et al.
    2023). Where the goal is reached already, none counts.

    Attributes:
        hidden: width of the hidden layers.
        batch: pairs per step.
        within: steps ahead that a hindsight goal lies, at most.
        others: share of goals from any episode.
        ahead: steps after which an action is judged.
        sharpness: an action weighs exp(sharpness x steps gained).
    """

    hidden: int = 512
    batch: int = 512
    within: int = 30
    others: float = 0.3
    ahead: int = 4
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        for name in ("hidden", "batch", "within", "ahead"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if not 0.0 <= self.others <= 1.0:
            raise ValueError(f"others must be in [0, 1], got {self.others}")
        if not self.sharpness >= 0:
            raise ValueError(f"sharpness must be at least 0, got {self.sharpness}")

    def spec(self, projection: GoalProjectionSpec, action_size: int) -> PolicyPriorSpec:
        """Architecture on what is looked at in a latent, to actions (A)."""
        return PolicyPriorSpec(projection, action_size, self.hidden)


def policy_prior_job(
    recipe: PolicyPriorRecipe,
    policy_prior: PolicyPrior,
    data: LatentEpisodes,
    actions: Tensor,
    distance: TemporalDistance,
    generator: torch.Generator,
) -> Job:
    """Learns the policy prior.

    Args:
        recipe: how.
        policy_prior: learns, in place; looks at what the distance looks at.
        data: latents of the training episodes.
        actions: (N, A) of all rows.
        distance: judges actions; it may still be learning.
        generator: source of randomness.
    """
    policy_prior.projection.load_state_dict(distance.projection.state_dict())

    actions = actions.to(data.latents)

    def draw() -> tuple[Tensor, Tensor]:
        return draw_goals(recipe, data, on_device(generator, data.rows.device))

    def loss(drawn: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        now, goal = drawn
        latents, goals = data.latents[now], data.latents[goal]
        weight = action_weights(recipe, data, distance, now, goal)
        done = policy_prior(latents, goals)
        error = (done - actions[now]).abs().mean(dim=-1)
        return {"total": (weight * error).mean()}

    return Job(policy_prior, loss, draw=draw)


def draw_goals(
    recipe: PolicyPriorRecipe, data: LatentEpisodes, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows (batch,) of states that have a next one, and rows (batch,) of goals."""
    count = recipe.batch
    now = data.draw(count, generator)
    share = uniform(count, generator=generator)
    later = torch.minimum(now + 1 + (share * recipe.within).long(), data.last[now])
    other = data.draw(count, generator)
    anywhere = uniform(count, generator=generator)
    return now, torch.where(anywhere < recipe.others, other, later)


@torch.no_grad()
def action_weights(
    recipe: PolicyPriorRecipe,
    data: LatentEpisodes,
    distance: TemporalDistance,
    now: Tensor,
    goal: Tensor,
) -> Tensor:
    """Weights (B,), 1 on average, of the actions taken at rows `now` toward `goal`."""
    spec = distance.spec
    path = arrivals(distance, data, now, goal, recipe.ahead)
    steps = torch.minimum(first_arrival(path), data.last[now] - now)
    goals = data.latents[goal]
    there = path.gather(1, steps[:, None])[:, 0]
    left = distance(data.latents[now + steps], goals).where(~there, 0.0)
    fade = (spec.discount**steps).to(left)
    gained = distance(data.latents[now], goals) - (1 - fade) * spec.farthest
    gained = gained - fade * left
    weight = (recipe.sharpness * gained).exp().clamp(max=_MOST)
    weight = weight.where(~path[:, 0], 0.0)
    return weight / weight.mean().clamp(min=1e-6)

import dataclasses

import pytest
import torch

from tests.training.test_distance import PLACES, chain
from tests.training.toy import seeded
from worldmodel.costs.distances import TemporalDistance, TemporalDistanceSpec
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.policy_prior import PolicyPrior
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Schedule, fit
from worldmodel.training.policy_prior import (
    PolicyPriorRecipe,
    action_weights,
    draw_goals,
    policy_prior_job,
)

LOOK = GoalProjectionSpec(1, state_dim=1, goal_dim=1)
SCHEDULE = Schedule(200, learning_rate=5e-3, warmup=10)
RECIPE = PolicyPriorRecipe(hidden=32, batch=256, within=8, ahead=2)


class Steps(TemporalDistance):
    """The distance along the chain that is known: places between, one step each."""

    def forward(self, latents: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
        return ((latents - goals).abs()[..., 0] * PLACES / 4).clamp(max=9.0)


def steps() -> Steps:
    distance = Steps(TemporalDistanceSpec(LOOK, hidden=8, success_radius=0.1))
    distance.projection.along(torch.ones(1, 1))
    return distance


def walks() -> tuple[LatentEpisodes, torch.Tensor]:
    """A chain, and the step that was taken at each of its moments as an action."""
    data = chain(100)
    later = torch.minimum(torch.arange(len(data.latents)) + 1, data.last)
    moved = data.latents[later] - data.latents
    return data, moved.sign()


def test_the_habit_goes_where_the_goal_is():
    data, actions = walks()
    training = seeded(SCHEDULE)
    policy_prior = PolicyPrior(RECIPE.spec(LOOK, action_size=1))
    job = policy_prior_job(
        RECIPE, policy_prior, data, actions, steps(), training.generator
    )
    fit({"policy_prior": job}, training)
    line = torch.arange(PLACES)[:, None].float() / PLACES * 4 - 2
    with torch.no_grad():
        up = policy_prior(line[:-2], line[-1:])
        down = policy_prior(line[2:], line[:1])
    assert (up > 0.3).all()
    assert (down < -0.3).all()


def test_what_came_nearer_weighs_more_and_nothing_weighs_at_the_goal():
    data, actions = walks()
    generator = torch.Generator().manual_seed(0)
    now, goal = draw_goals(RECIPE, data, generator)
    recipe = dataclasses.replace(RECIPE, ahead=1)
    weight = action_weights(recipe, data, steps(), now, goal)
    assert weight.mean().item() == pytest.approx(1.0, rel=1e-4)
    gap = data.latents[goal] - data.latents[now]
    there = gap[:, 0] == 0
    assert (weight[there] == 0).all()
    toward = actions[now] * gap.sign()
    far = gap.abs()[:, 0] > 1.0
    nearer, farther = far & (toward[:, 0] > 0), far & (toward[:, 0] < 0)
    assert weight[nearer].min() > 2 * weight[farther].max()


def test_goals_lie_ahead_or_anywhere_in_the_shares_asked_for():
    data, _ = walks()
    recipe = dataclasses.replace(RECIPE, batch=20_000, others=0.25)
    now, goal = draw_goals(recipe, data, torch.Generator().manual_seed(0))
    ahead = (goal > now) & (goal - now <= RECIPE.within) & (goal <= data.last[now])
    assert ahead.float().mean().item() == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"ahead": 0}, "ahead must be at least 1, got 0"),
        ({"within": 0}, "within must be at least 1, got 0"),
        ({"others": 1.5}, r"others must be in \[0, 1\], got 1.5"),
        ({"sharpness": -1.0}, "sharpness must be at least 0, got -1.0"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change)

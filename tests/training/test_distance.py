import dataclasses

import pytest
import torch
from torch import Tensor

from tests.training.toy import seeded
from worldmodel.costs.distances import TemporalDistance
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.training.chance import whole_numbers
from worldmodel.training.distance import (
    DistanceLearner,
    DistanceRecipe,
    arrivals,
    distance_job,
    draw_pairs,
    expectile_loss,
    look_ahead,
)
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Schedule, fit

PLACES, WALK = 8, 40
SCHEDULE = Schedule(200, learning_rate=5e-3, warmup=10, weight_decay=0.0)
WHOLE = GoalProjectionSpec(latent_dim=1)
RECIPE = DistanceRecipe(hidden=32, discount=0.9, batch=256, ahead=2, momentum=0.9)


def chain(episodes: int = 20) -> LatentEpisodes:
    """Random walks along a chain of places; the latent is the place."""
    generator = torch.Generator().manual_seed(0)
    steps = torch.randint(0, 2, (episodes, WALK), generator=generator) * 2 - 1
    steps[:, 0] = torch.randint(0, PLACES, (episodes,), generator=generator)
    places = torch.empty_like(steps)
    now = steps[:, 0]
    for t in range(WALK):
        now = now if t == 0 else (now + steps[:, t]).clamp(0, PLACES - 1)
        places[:, t] = now
    rows = torch.arange(episodes * WALK)
    first = rows - rows % WALK
    last = first + WALK - 1
    latents = places.flatten()[:, None].float() / PLACES * 4 - 2
    return LatentEpisodes(latents, first, last, rows[rows < last])


def learned(
    recipe: DistanceRecipe,
    data: LatentEpisodes,
    look: GoalProjectionSpec = WHOLE,
    directions: Tensor | None = None,
) -> TemporalDistance:
    training = seeded(SCHEDULE)
    learner = DistanceLearner(recipe.spec(look), directions)
    job = distance_job(recipe, learner, data, training.generator)
    fit({"distance": job}, training)
    return learner.online


def test_the_distance_along_a_chain_grows_with_the_steps_between():
    distance = learned(RECIPE, chain())
    line = torch.arange(PLACES)[:, None].float() / PLACES * 4 - 2
    with torch.no_grad():
        from_start = distance(line[:1].expand(PLACES, -1), line)
        to_middle = distance(line, line[4:5])
    assert from_start[0] < 1.0
    assert (from_start.diff() > 0).all()
    assert to_middle.argmin() == 4
    assert to_middle[1] > to_middle[3]
    assert to_middle[7] > to_middle[5]


def test_pairs_stay_within_their_episodes():
    data = chain(5)
    recipe = dataclasses.replace(RECIPE, batch=4000, later=1.0, here=0.0)
    now, goal = draw_pairs(recipe, data, torch.Generator().manual_seed(0))
    assert (now < data.last[now]).all()
    assert (goal > now).all()
    assert (goal <= data.last[now]).all()
    assert ((goal == data.last[now]) & (now + 1 < goal)).any()
    assert (goal == now + 1).any()


def test_targets_look_ahead_no_further_than_goal_and_episode():
    data = chain(5)
    recipe = dataclasses.replace(RECIPE, batch=4000, ahead=6)
    generator = torch.Generator().manual_seed(0)
    now, goal = draw_pairs(recipe, data, generator)
    path = arrivals(TemporalDistance(recipe.spec(WHOLE)), data, now, goal, recipe.ahead)
    assert torch.equal(path[:, 0], now == goal)
    drawn = whole_numbers(1, recipe.ahead + 1, len(now), generator=generator)
    then = now + look_ahead(path, data.last[now] - now, drawn)
    assert (then > now).all()
    assert (then <= data.last[now]).all()
    on_the_way = (goal > now) & (goal <= data.last[now])
    assert (then <= goal)[on_the_way].all()
    far = data.last[now] - now >= 6
    assert set((then - now)[far & ~on_the_way].tolist()) == {1, 2, 3, 4, 5, 6}


def test_all_that_is_near_a_goal_has_arrived_and_ends_the_look_ahead():
    data = chain(5)
    recipe = dataclasses.replace(RECIPE, success_radius=0.1)
    look = GoalProjectionSpec(1, state_dim=1, goal_dim=1)
    distance = TemporalDistance(recipe.spec(look))
    distance.projection.along(torch.ones(1, 1))
    now, ahead = data.rows, 6
    goal = now.flip(0)  # of other episodes
    path = arrivals(distance, data, now, goal, ahead)
    rows = torch.minimum(now[:, None] + torch.arange(ahead + 1), data.last[now, None])
    same_place = (data.latents[rows] - data.latents[goal][:, None])[..., 0].abs() < 1e-6
    assert torch.equal(path, same_place)
    assert path.any()
    drawn = whole_numbers(
        1, ahead + 1, len(now), generator=torch.Generator().manual_seed(0)
    )
    steps = look_ahead(path, data.last[now] - now, drawn)
    for row, met, step in zip(now, path, steps, strict=True):
        first = next((k for k in range(1, ahead + 1) if met[k]), ahead)
        assert 1 <= step <= min(first, data.last[row] - row)


def test_aims_are_reached_wherever_the_rest_of_the_state_is():
    """Places along a chain beside a number that wanders: only the place is aimed at."""
    walk = chain(40)
    noise = torch.randn(
        len(walk.latents), 1, generator=torch.Generator().manual_seed(1)
    )
    data = dataclasses.replace(walk, latents=torch.cat((walk.latents, noise), dim=1))
    look = GoalProjectionSpec(2, state_dim=2, goal_dim=1)
    recipe = dataclasses.replace(RECIPE, success_radius=0.1, here=0.0)
    distance = learned(recipe, data, look, torch.eye(2))
    line = torch.arange(PLACES)[:, None].float() / PLACES * 4 - 2
    here = torch.cat((line, torch.zeros(PLACES, 1)), dim=1)
    with torch.no_grad():
        other = here[4] + torch.tensor([0.0, 2.0])
        to_middle = distance(here, other)
    assert to_middle.argmin() == 4
    assert to_middle[4] < 1.0
    assert to_middle[1] > to_middle[3]
    assert to_middle[7] > to_middle[5]


def test_goals_are_drawn_in_the_shares_that_were_asked_for():
    data, count = chain(40), 20_000
    recipe = dataclasses.replace(RECIPE, batch=count, later=0.5, here=0.2)
    now, goal = draw_pairs(recipe, data, torch.Generator().manual_seed(0))
    same = data.first[goal] == data.first[now]
    here = (goal == now).float().mean().item()
    later = (same & (goal > now)).float().mean().item()
    assert here == pytest.approx(0.2, abs=0.02)
    # One in 40 of the goals of any episode is of the same one.
    assert later == pytest.approx(0.5 + 0.3 / 80, abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expectile": 0.0}, r"expectile must be in \(0, 1\), got 0.0"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"discount": 1.0}, r"discount must be in \(0, 1\), got 1.0"),
        ({"success_radius": -0.1}, "success_radius must be at least 0, got -0.1"),
        ({"ahead": 0}, "ahead must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"momentum": 2.0}, r"momentum must be in \[0, 1\], got 2.0"),
        ({"later": 0.8, "here": 0.3}, "sum to at most 1, got 0.8 and 0.3"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change)


def test_the_expectile_of_a_coin_is_its_closed_form():
    # Targets 0 and 1: the minimiser m solves tau (1 - m) = (1 - tau) m, so m = tau.
    targets = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for tau in (0.1, 0.2, 0.5, 0.9):
        guesses = torch.linspace(0, 1, 1001, dtype=torch.float64)
        losses = torch.stack([expectile_loss(targets - m, tau) for m in guesses])
        assert guesses[losses.argmin()].item() == pytest.approx(tau, abs=1e-9)


def test_half_is_half_of_the_mean_squared_error():
    error = torch.tensor([1.0, -2.0, 3.0])
    assert expectile_loss(error, 0.5).item() == pytest.approx(0.5 * 14 / 3)

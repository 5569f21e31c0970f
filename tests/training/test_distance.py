import dataclasses

import pytest
import torch

from tests.training.toy import EPISODES, STEPS, toy_frames
from worldmodel.data import SplitRule
from worldmodel.distances import TemporalDistanceSpec
from worldmodel.predictors import Compressor, CompressorSpec
from worldmodel.training.distance import (
    DistanceRecipe,
    LatentEpisodes,
    draw_later,
    draw_pairs,
    latent_episodes,
    principal_directions,
    train_distance,
)
from worldmodel.training.loop import Schedule
from worldmodel.training.tokens import TokenCache

PLACES, WALK = 8, 40
RECIPE = DistanceRecipe(
    Schedule(200, learning_rate=5e-3, warmup=10, weight_decay=0.0),
    TemporalDistanceSpec(latent_dim=1, hidden=32, discount=0.9),
    batch=256,
    ahead=2,
    momentum=0.9,
)


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


def test_the_distance_along_a_chain_grows_with_the_steps_between():
    distance = train_distance(RECIPE, chain())
    line = torch.arange(PLACES)[:, None].float() / PLACES * 4 - 2
    with torch.no_grad():
        from_start = distance(line[:1].expand(PLACES, -1), line)
        to_middle = distance(line, line[4:5])
    assert from_start[0] < 1.0
    assert (from_start.diff() > 0).all()
    assert to_middle.argmin() == 4
    assert to_middle[1] > to_middle[3]
    assert to_middle[7] > to_middle[5]


def test_principal_directions_are_where_the_reading_varies_most():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(500, 4, generator=generator) * torch.tensor([1, 3, 1, 0.1])
    weight = torch.eye(4)[[0, 1, 3]]  # the third dimension is not read
    found = principal_directions(latents, weight, 2)
    assert found.shape == (2, 4)
    assert found[0].abs().argmax() == 1
    assert found[1].abs().argmax() == 0
    assert (found[:, 2] == 0).all()
    torch.testing.assert_close((latents @ found.T).std(dim=0), torch.ones(2))


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
    then = draw_later(recipe, data, now, goal, generator)
    assert (then > now).all()
    assert (then <= data.last[now]).all()
    on_the_way = (goal > now) & (goal <= data.last[now])
    assert (then <= goal)[on_the_way].all()
    far = data.last[now] - now >= 6
    assert set((then - now)[far & ~on_the_way].tolist()) == {1, 2, 3, 4, 5, 6}


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


def test_latents_of_an_episode_are_its_own_and_only_training_rows_are_used():
    frames = toy_frames()
    tokens = torch.randn(EPISODES * STEPS, 2, 3).half().numpy()
    spec = CompressorSpec(patches=2, token_dim=3, reduced=2, hidden=4, dim=5)
    compressor = Compressor(spec)
    data = latent_episodes(compressor, TokenCache(tokens, frames), chunk=50)
    with torch.no_grad():
        whole = compressor(torch.from_numpy(tokens).float())
    torch.testing.assert_close(data.latents, whole)
    assert data.first.tolist() == [r - r % STEPS for r in range(EPISODES * STEPS)]
    assert torch.equal(data.last - data.first, torch.full_like(data.first, STEPS - 1))
    episodes = set((data.rows // STEPS).tolist())
    rule = SplitRule()
    assert episodes == {i for i in range(EPISODES) if rule.split_of(i) == "train"}
    assert (data.rows % STEPS != STEPS - 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expectile": 0.0}, r"expectile must be in \(0, 1\), got 0.0"),
        ({"ahead": 0}, "ahead must be at least 1, got 0"),
        ({"later": 0.8, "here": 0.3}, "sum to at most 1, got 0.8 and 0.3"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change)

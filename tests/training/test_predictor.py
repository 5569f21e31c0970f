import dataclasses

import pytest
import torch

from tests.training.toy import seeded
from worldmodel.errors import WorldModelError
from worldmodel.predictors import ActionPredictor
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Schedule, fit
from worldmodel.training.predictor import PredictorRecipe, predictor_job

EPISODES, STEPS = 40, 12
SCHEDULE = Schedule(150, learning_rate=5e-3, warmup=10)
RECIPE = PredictorRecipe(windows=32, window=5, width=16, depth=1)


def movers() -> tuple[LatentEpisodes, torch.Tensor]:
    """Points that actions move, by half an action a step."""
    generator = torch.Generator().manual_seed(0)
    actions = torch.rand(EPISODES, STEPS, 2, generator=generator) * 2 - 1
    moved = torch.cat((torch.zeros(EPISODES, 1, 2), 0.5 * actions[:, :-1]), dim=1)
    latents = moved.cumsum(dim=1).flatten(0, 1)
    rows = torch.arange(len(latents))
    first = rows - rows % STEPS
    last = first + STEPS - 1
    data = LatentEpisodes(latents, first, last, rows[rows < last])
    return data, actions.flatten(0, 1)


def test_it_learns_what_actions_do():
    data, actions = movers()
    training = seeded(SCHEDULE)
    predictor = ActionPredictor(RECIPE.spec(latent_dim=2, action_size=2))
    job = predictor_job(RECIPE, predictor, data, actions, training.generator)
    fit({"predictor": job}, training)
    plans = torch.tensor([[[1.0, 0.0]] * 3, [[0.0, -1.0]] * 3])[None]
    with torch.no_grad():
        future = predictor.rollout(torch.zeros(1, 1, 2), actions[None, :0], plans)
    torch.testing.assert_close(
        future[0, :, -1], torch.tensor([[1.5, 0.0], [0.0, -1.5]]), atol=0.25, rtol=0
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 1}, "window must be at least 2 moments, got 1"),
        ({"windows": 0}, "windows must be at least 1, got 0"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 18}, "width must be a multiple of heads=4, got 18"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
    ],
)
def test_an_architecture_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change).spec(latent_dim=2, action_size=2)


def test_windows_longer_than_every_episode_are_an_error():
    data, actions = movers()
    recipe = dataclasses.replace(RECIPE, window=99)
    predictor = ActionPredictor(recipe.spec(latent_dim=2, action_size=2))
    with pytest.raises(WorldModelError, match="no episode for training is as long"):
        predictor_job(recipe, predictor, data, actions, torch.Generator())

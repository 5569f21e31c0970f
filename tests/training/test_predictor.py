import dataclasses

import pytest
import torch

from worldmodel.errors import WorldModelError
from worldmodel.predictors import ActionPredictorSpec
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Schedule
from worldmodel.training.predictor import PredictorRecipe, train_predictor

EPISODES, STEPS = 40, 12
RECIPE = PredictorRecipe(
    Schedule(150, learning_rate=5e-3, warmup=10),
    ActionPredictorSpec(latent_dim=2, action_size=2, width=16, depth=1, heads=2),
    windows=32,
    window=5,
)


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
    predictor = train_predictor(RECIPE, data, actions)
    plans = torch.tensor([[[1.0, 0.0]] * 3, [[0.0, -1.0]] * 3])[None]
    with torch.no_grad():
        future = predictor.rollout(torch.zeros(1, 1, 2), actions[None, :0], plans)
    torch.testing.assert_close(
        future[0, :, -1], torch.tensor([[1.5, 0.0], [0.0, -1.5]]), atol=0.25, rtol=0
    )


def test_the_error_along_what_is_looked_at_counts_beside_that_of_the_latents():
    data, actions = movers()
    seen: list[dict[str, float]] = []
    recipe = dataclasses.replace(RECIPE, task_weight=2.0, schedule=Schedule(1))
    look = torch.tensor([[3.0, 0.0]])

    def note(step: int, terms: dict[str, float]) -> None:
        seen.append(terms)

    train_predictor(recipe, data, actions, on_step=note, directions=look)
    train_predictor(recipe, data, actions, on_step=note, directions=torch.eye(2))
    train_predictor(recipe, data, actions, on_step=note)
    narrow, whole, none = seen
    for terms in (narrow, whole):
        total = 0.5 * (terms["forced"] + terms["rolled"]) + 2.0 * terms["task"]
        assert terms["total"] == pytest.approx(total, rel=1e-5)
    between = sorted((none["forced"], none["rolled"]))
    assert between[0] <= whole["task"] <= between[1]
    assert narrow["task"] > whole["task"]
    assert "task" not in none


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    data, actions = movers()
    whole = train_predictor(
        dataclasses.replace(RECIPE, schedule=Schedule(12)), data, actions
    )

    class Killed(Exception):
        pass

    def kill(step: int, terms: dict[str, float]) -> None:
        if step == 7:
            raise Killed

    state = tmp_path / "predictor.safetensors"
    often = dataclasses.replace(RECIPE, schedule=Schedule(12, save_every=0.0))
    with pytest.raises(Killed):
        train_predictor(often, data, actions, state, kill)
    resumed = train_predictor(often, data, actions, state)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 1}, "window must be at least 2 moments, got 1"),
        ({"windows": 0}, "windows must be at least 1, got 0"),
        ({"task_weight": -1.0}, "task_weight must be at least 0, got -1.0"),
        ({"huber": 0.0}, "huber must be above 0 or None, got 0.0"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change)


def test_windows_longer_than_every_episode_are_an_error():
    data, actions = movers()
    with pytest.raises(WorldModelError, match="no episode for training is as long"):
        train_predictor(dataclasses.replace(RECIPE, window=99), data, actions)

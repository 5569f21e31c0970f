from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.test_distance import PLACES
from tests.training.test_policy_prior import walks
from tests.training.toy import Killed, kill_at, seeded
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.errors import WorldModelError
from worldmodel.training.distance import DistanceRecipe
from worldmodel.training.loop import OnStep, Schedule
from worldmodel.training.planning import PlanningParts, PlanningRecipe, train_planning
from worldmodel.training.policy_prior import PolicyPriorRecipe
from worldmodel.training.predictor import PredictorRecipe

DATA, ACTIONS = walks()
LOOK = GoalProjectionSpec(1, state_dim=1, goal_dim=1)
RECIPE = PlanningRecipe(
    Schedule(150, learning_rate=1e-2, warmup=10),
    PredictorRecipe(windows=32, window=5, width=16, depth=1),
    DistanceRecipe(hidden=32, discount=0.9, batch=256, ahead=2, momentum=0.9),
    PolicyPriorRecipe(hidden=32, batch=256, within=8, ahead=2),
)


def trained(
    recipe: PlanningRecipe,
    path: Path | None = None,
    on_step: OnStep | None = None,
) -> PlanningParts:
    training = seeded(recipe.schedule, path, on_step)
    return train_planning(recipe, DATA, ACTIONS, training, LOOK, torch.ones(1, 1))


def test_all_three_learn_side_by_side():
    terms: dict[str, float] = {}
    parts = trained(RECIPE, on_step=lambda _, found: terms.update(found))
    assert {"predictor", "distance", "distance.mean", "policy_prior"} <= set(terms)
    line = torch.arange(PLACES)[:, None].float() / PLACES * 4 - 2
    ahead = torch.ones(1, 1, 3, 1)
    with torch.no_grad():
        future = parts.predictors[0].rollout(line[None, 2:3], ACTIONS[None, :0], ahead)
        to_middle = parts.distance(line, line[4:5])
        up = parts.policy_prior(line[:-2], line[-1:])
        down = parts.policy_prior(line[2:], line[:1])
    torch.testing.assert_close(future[0, 0], line[3:6], atol=0.25, rtol=0)
    assert to_middle.argmin() == 4
    assert to_middle[1] > to_middle[3]
    assert to_middle[7] > to_middle[5]
    assert (up > 0.3).all()
    assert (down < -0.3).all()


def test_several_predictors_learn_and_differ():
    terms: dict[str, float] = {}
    recipe = replace(RECIPE, schedule=Schedule(2), predictors=2)
    parts = trained(recipe, on_step=lambda _, found: terms.update(found))
    assert {"predictor", "predictor_2"} <= set(terms)
    first, second = (predictor.state_dict() for predictor in parts.predictors)
    assert not torch.equal(first["leave.weight"], second["leave.weight"])
    with pytest.raises(ValueError, match="predictors must be at least 1, got 0"):
        replace(RECIPE, predictors=0)


def test_distance_and_prior_look_along_the_directions_given():
    short = replace(RECIPE, schedule=Schedule(2))
    training, along = seeded(short.schedule), torch.full((1, 1), 0.5)
    parts = train_planning(short, DATA, ACTIONS, training, LOOK, along)
    for part in (parts.distance, parts.policy_prior):
        assert torch.equal(part.projection.state(torch.ones(1, 1)), along)
    whole = train_planning(short, DATA, ACTIONS, seeded(short.schedule))
    assert whole.distance.projection.readout is None
    assert whole.policy_prior.projection.readout is None


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path):
    short = replace(RECIPE, schedule=Schedule(12, save_every=0.0))
    state = tmp_path / "planning.safetensors"
    whole = trained(short)
    with pytest.raises(Killed):
        trained(short, state, kill_at(7))
    resumed = trained(short, state)
    for found, wanted in (
        (resumed.predictors[0], whole.predictors[0]),
        (resumed.distance, whole.distance),
        (resumed.policy_prior, whole.policy_prior),
    ):
        assert weights_hash(found) == weights_hash(wanted)


def test_windows_longer_than_every_episode_are_an_error(tmp_path: Path):
    long = replace(RECIPE, predictor=replace(RECIPE.predictor, window=99))
    with pytest.raises(WorldModelError, match="predictor.window is 99 moments, but no"):
        trained(long, tmp_path / "planning.safetensors")
    assert not list(tmp_path.iterdir())

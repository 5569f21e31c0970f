from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.toy import ENCODER, STEPS, toy_frames
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.costs.goal_cost import GoalCost
from worldmodel.data import SplitRule
from worldmodel.encoders import FrozenEncoder, VideoViT
from worldmodel.model import WorldModel
from worldmodel.projectors.projector import Projector
from worldmodel.training.distance import DistanceRecipe
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.projection import ProjectorWeights
from worldmodel.training.planning import PlanningRecipe
from worldmodel.training.policy_prior import PolicyPriorRecipe
from worldmodel.training.predictor import PredictorRecipe
from worldmodel.training.projector import ProjectorRecipe
from worldmodel.training.proprio_estimator import ProprioEstimatorRecipe
from worldmodel.training.recipe import Projectors, Recipe, Run, train_world_model
from worldmodel.training.surprise import measure_errors
from worldmodel.training.tabletop import TabletopRecipe

FRAMES = toy_frames()
FEW = Schedule(3, save_every=0.0)
WEIGHTS = ProjectorWeights(inverse=1.0, sigreg=0.01)
TABLETOP = TabletopRecipe(
    proprio=2,
    goal_proprio=1,
    proprio_correction=True,
    proprio_estimator=ProprioEstimatorRecipe(batch=8, hidden=8),
)


def encoder() -> FrozenEncoder:
    return FrozenEncoder(VideoViT(ENCODER, torch.Generator().manual_seed(0)))


def recipe(tabletop: TabletopRecipe | None = None) -> Recipe:
    """Frames and actions alone, unless a tabletop is given."""
    return Recipe(
        projector=ProjectorRecipe(FEW, WEIGHTS, dim=8, pairs=4, window=3),
        planning=PlanningRecipe(
            FEW,
            PredictorRecipe(windows=4, window=4, width=32, depth=1),
            DistanceRecipe(hidden=8, batch=8),
            PolicyPriorRecipe(hidden=8, batch=8),
        ),
        tabletop=tabletop or TabletopRecipe(),
        cost=GoalCost(latent=0.0, temporal=1.0),
    )


def trained(
    folder: Path,
    tabletop: TabletopRecipe | None = None,
    given: Projectors | None = None,
) -> WorldModel:
    folder.mkdir(exist_ok=True)
    run = Run(folder, torch.device("cpu"))
    return train_world_model(recipe(tabletop), encoder(), FRAMES, run, given)


def states(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("*.safetensors")}


def test_a_dataset_and_an_encoder_become_a_model_that_plans(tmp_path: Path):
    model = trained(tmp_path / "run")
    pixels = torch.from_numpy(FRAMES.frames[:3])[None]
    past = model.context(model.encode(pixels), torch.zeros(1, 2, 5))
    cost = model.goal_cost(past, model.encode(pixels)[:, -1])
    assert cost(torch.zeros(1, 4, 3, 5)).isfinite().all()
    assert model.proposals(past, model.encode(pixels)[:, -1]) is not None
    assert model.proprio_correction is None
    assert model.proprio_estimator is None
    assert model.distances.proprio is None


@pytest.mark.parametrize("tabletop", [None, TABLETOP])
def test_ordinary_play_surprises_by_one_on_average(tmp_path: Path, tabletop):
    model, found = trained(tmp_path / "run", tabletop), []
    for place in np.flatnonzero(SplitRule().holds("train", FRAMES.episodes)):
        rows = slice(place * STEPS, (place + 1) * STEPS)
        film, actions, felt = (
            torch.from_numpy(values[rows])[None]
            for values in (FRAMES.frames, FRAMES.actions, FRAMES.proprio)
        )
        known = felt if tabletop else None
        found.append(model.surprise(film, actions[:, :-1], known))
    assert float(torch.cat(found).mean()) == pytest.approx(1.0, abs=0.05)


def test_play_without_two_frames_tells_nothing_of_errors(tmp_path: Path):
    model = trained(tmp_path / "run")
    short = replace(FRAMES, episodes=np.arange(1), offsets=np.array([0, 1]))
    with pytest.raises(ValueError, match="no episode of two frames"):
        measure_errors(model, short)


@pytest.mark.parametrize("tabletop", [None, TABLETOP])
def test_the_same_run_again_gives_the_same_model(tmp_path: Path, tabletop):
    first = weights_hash(trained(tmp_path / "run", tabletop))
    assert states(tmp_path / "run") == {"projector.safetensors", "planning.safetensors"}
    (tmp_path / "run" / "planning.safetensors").unlink()  # as after a kill
    assert weights_hash(trained(tmp_path / "run", tabletop)) == first
    assert weights_hash(trained(tmp_path / "other", tabletop)) == first


def test_projectors_that_are_given_are_taken_as_they_are(tmp_path: Path):
    spec = recipe(TABLETOP).spec(encoder(), FRAMES)
    assert spec.proprio_estimator is not None
    given = Projectors(Projector(spec.projector), Projector(spec.proprio_estimator))
    before = [weights_hash(part) for part in vars(given).values()]
    model = trained(tmp_path / "run", TABLETOP, given)
    assert model.proprio_estimator is not None
    taken = [weights_hash(part) for part in (model.projector, model.proprio_estimator)]
    assert taken == before
    assert states(tmp_path / "run") == {"planning.safetensors"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"still": 1.5}, r"still must be in \[0, 1\], got 1.5"),
        ({"practice_weight": 0}, r"must be a whole number in \[1, 1000\], got 0"),
        ({"practice_weight": 1.5}, "must be a whole number in .*, got 1.5"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**{**vars(recipe()), **change})


@pytest.mark.parametrize("weights", [{"sigreg": 0.1}, {"proprio": 1.0}, {"blobs": 1.0}])
def test_latents_that_would_tell_nothing_are_refused(weights):
    projector = ProjectorRecipe(FEW, ProjectorWeights(**weights), dim=8)
    silent = Recipe(**{**vars(recipe()), "projector": projector})
    with pytest.raises(ValueError, match="would make latents tell nothing"):
        silent.spec(encoder(), FRAMES)

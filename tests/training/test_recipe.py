from pathlib import Path

import pytest
import torch

from tests.training.toy import ENCODER, PREDICTOR, PROJECTOR, toy_frames
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.costs.goal_cost import GoalCost
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.costs.temporal import TemporalDistanceSpec
from worldmodel.encoders import FrozenEncoder, VideoViT
from worldmodel.model import WorldModel
from worldmodel.training.distance import DistanceRecipe
from worldmodel.training.loop import Schedule
from worldmodel.training.policy_prior import PolicyPriorRecipe
from worldmodel.training.predictor import PredictorRecipe
from worldmodel.training.projector import ProjectorRecipe
from worldmodel.training.proprio_estimator import ProprioEstimatorRecipe
from worldmodel.training.recipe import Recipe, Run, train_world_model
from worldmodel.training.smoothing import SmoothingRecipe
from worldmodel.training.tabletop import TabletopRecipe

FRAMES = toy_frames()
FEW = Schedule(3, save_every=0.0)
WHOLE = TemporalDistanceSpec(GoalProjectionSpec(latent_dim=8), hidden=8)


def encoder() -> FrozenEncoder:
    return FrozenEncoder(VideoViT(ENCODER, torch.Generator().manual_seed(0)))


def plain() -> Recipe:
    """Frames and actions alone: nothing of a tabletop."""
    return Recipe(
        projector=ProjectorRecipe(FEW, PROJECTOR, pairs=4, window=3),
        proprio_estimator=ProprioEstimatorRecipe(FEW, batch=8, hidden=8),
        predictor=PredictorRecipe(FEW, PREDICTOR, windows=4, window=4),
        distance=DistanceRecipe(FEW, WHOLE, batch=8),
        policy_prior=PolicyPriorRecipe(FEW, hidden=8, batch=8),
        smoothing=SmoothingRecipe(),
        tabletop=TabletopRecipe(),
        cost=GoalCost(latent=0.0, temporal=1.0),
    )


def trained(folder: Path) -> WorldModel:
    folder.mkdir(exist_ok=True)
    run = Run(folder, torch.device("cpu"))
    return train_world_model(plain(), encoder(), FRAMES, run)


def test_a_dataset_and_an_encoder_become_a_model_that_plans(tmp_path: Path):
    model = trained(tmp_path / "run")
    pixels = torch.from_numpy(FRAMES.frames[None, :3])
    past = model.context(model.encode(pixels), torch.zeros(1, 2, 5))
    cost = model.goal_cost(past, model.encode(pixels)[:, -1])
    assert cost(torch.zeros(1, 4, 3, 5)).isfinite().all()
    assert model.proposals(past, model.encode(pixels)[:, -1]) is not None
    assert model.proprio_correction is None
    assert model.distances.proprio is None


def test_the_same_run_again_gives_the_same_model(tmp_path: Path):
    first = weights_hash(trained(tmp_path / "run"))
    (tmp_path / "run" / "policy_prior.safetensors").unlink()  # as after a kill
    assert weights_hash(trained(tmp_path / "run")) == first
    assert weights_hash(trained(tmp_path / "other")) == first


def test_a_projector_that_shall_not_learn_has_to_be_given(tmp_path: Path):
    recipe = plain().__class__(**{**vars(plain()), "refine": False})
    run = Run(tmp_path, torch.device("cpu"))
    with pytest.raises(ValueError, match="refine=False takes a projector"):
        train_world_model(recipe, encoder(), FRAMES, run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"still": 1.5}, r"still must be in \[0, 1\], got 1.5"),
        ({"practice_weight": 0}, "practice_weight must be at least 1, got 0"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**{**vars(plain()), **change})

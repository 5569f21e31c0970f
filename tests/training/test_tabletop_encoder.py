import dataclasses

import pytest
import torch

from tests.training.toy import ENCODER, Killed, kill_at, toy_frames
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.action_conditioned import ObjectiveWeights
from worldmodel.training.objectives.clips import single_clips, stand_still
from worldmodel.training.objectives.joint import JointSpec
from worldmodel.training.tabletop_encoder import (
    TabletopEncoderRecipe,
    train_tabletop_encoder,
)

CPU = torch.device("cpu")
FRAMES = toy_frames()
RECIPE = TabletopEncoderRecipe(
    JointSpec(
        encoder=dataclasses.replace(ENCODER, num_colors=3),
        weights=ObjectiveWeights(
            prediction=1.0,
            inverse=1.0,
            contrast=0.1,
            sigreg=0.01,
            proprio=1.0,
            blobs=2.0,
        ),
        targets=2,
        proprio=2,
        latent_dim=8,
    ),
    Schedule(4, save_every=0.0),
    pairs=3,
    clips=2,
    clip_frames=(2, 4),
)


def test_a_killed_pretraining_continues_to_the_same_encoder(tmp_path):
    path, seen = tmp_path / "state.safetensors", []
    with pytest.raises(Killed):
        train_tabletop_encoder(RECIPE, FRAMES, CPU, path, kill_at(3))
    resumed = train_tabletop_encoder(
        RECIPE, FRAMES, CPU, path, lambda step, _: seen.append(step)
    )
    assert seen == [3, 4]
    whole = train_tabletop_encoder(RECIPE, FRAMES, CPU)
    assert weights_hash(resumed) == weights_hash(whole)
    other = train_tabletop_encoder(dataclasses.replace(RECIPE, seed=1), FRAMES, CPU)
    assert weights_hash(other) != weights_hash(whole)


def terms_of(model: JointSpec) -> set[str]:
    terms: dict[str, float] = {}
    recipe = dataclasses.replace(RECIPE, model=model, schedule=Schedule(1))
    train_tabletop_encoder(
        recipe, FRAMES, CPU, on_step=lambda _, found: terms.update(found)
    )
    return set(terms)


def test_every_term_of_the_objective_is_reported_and_no_other():
    weights = {
        name for name, weight in vars(RECIPE.model.weights).items() if weight > 0
    }
    watched = {"total", "target_std", "std", "std_min", "effective_rank"}
    assert terms_of(RECIPE.model) == {"masked", *weights, *watched}
    alone = dataclasses.replace(RECIPE.model, masked=0.0)
    assert terms_of(alone) == {*weights, *watched} - {"target_std"}


def test_single_clips_end_at_their_frame_and_some_stand_still():
    frames = torch.arange(2 * 60).view(2, 60, 1, 1, 1).expand(-1, -1, 2, 2, 3)
    stands = stand_still(120, 0.3, torch.Generator().manual_seed(0))
    clips = single_clips(frames, stands)
    assert clips.shape == (120, 2, 2, 2, 3)
    before, now = clips[:, 0, 0, 0, 0], clips[:, 1, 0, 0, 0]
    assert torch.equal(now, torch.arange(120))
    still = before == now
    assert torch.equal(before[~still], now[~still] - 1)
    assert still[[0, 60]].all()  # nothing stands before the first frame of a window
    assert 0.2 < still.float().mean() < 0.42


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 1}, "window must be at least 2 frames, got 1"),
        ({"clips": 0}, r"clips must be in \[1, 100000\], got 0"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masked": -1.0}, "masked must be at least 0, got -1.0"),
        (
            {"masked": 0.0, "weights": ObjectiveWeights()},
            "masked, or one of the weights, must be above 0",
        ),
        ({"proprio": -1}, "proprio must be at least 0, got -1"),
        ({"latent_dim": 0}, "latent_dim must be at least 1, got 0"),
        ({"still": 1.5}, r"still must be in \[0, 1\], got 1.5"),
    ],
)
def test_a_model_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE.model, **change)


def test_masked_prediction_alone_trains_an_encoder():
    alone = dataclasses.replace(RECIPE.model, weights=ObjectiveWeights())
    terms: dict[str, float] = {}
    found = train_tabletop_encoder(
        dataclasses.replace(RECIPE, model=alone),
        FRAMES,
        CPU,
        on_step=lambda _, some: terms.update(some),
    )
    assert set(terms) == {"total", "masked", "target_std"}
    assert found.objectives is None

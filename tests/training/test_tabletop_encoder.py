import dataclasses

import pytest
import torch

from tests.training.toy import ENCODER, Killed, kill_at, toy_frames
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.training.jepa import JEPARecipe, train_jepa
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.video_jepa import JEPAWeights, VideoJEPASpec
from worldmodel.training.tabletop_encoder import TabletopEncoderRecipe

CPU = torch.device("cpu")
FRAMES = toy_frames()
RECIPE = TabletopEncoderRecipe(
    VideoJEPASpec(
        encoder=dataclasses.replace(ENCODER, num_colors=3),
        weights=JEPAWeights(prediction=0, inverse=0, sigreg=0, contrast=0),
        targets=2,
        proprio=2,
        latent_dim=8,
    ),
    Schedule(4, save_every=0.0),
    windows=3,
    window=2,
    clip_frames=4,
)


def test_a_killed_pretraining_continues_to_the_same_encoder(tmp_path):
    path, seen = tmp_path / "state.safetensors", []
    with pytest.raises(Killed):
        RECIPE.train(FRAMES, CPU, path, kill_at(3))
    resumed, _ = RECIPE.train(FRAMES, CPU, path, lambda step, _: seen.append(step))
    assert seen == [3, 4]
    whole, _ = RECIPE.train(FRAMES, CPU)
    assert weights_hash(resumed) == weights_hash(whole)
    other, _ = dataclasses.replace(RECIPE, seed=1).train(FRAMES, CPU)
    assert weights_hash(other) != weights_hash(whole)


def test_the_encoder_knows_background_and_colours_before_it_learns():
    still = dataclasses.replace(RECIPE, schedule=Schedule(1, learning_rate=1e-9))
    model = train_jepa(still, FRAMES, CPU)
    online, target = model.masked.online, model.masked.target
    assert online.blobs is not None
    assert online.blobs.colours.float().std() > 0
    usual = torch.from_numpy(FRAMES.frames[:]).float().median(dim=0).values
    assert (online.background.float() - usual).abs().mean() < 20
    assert torch.equal(online.background, target.background)


def test_no_projector_to_plan_in_is_made():
    assert RECIPE.train(FRAMES, CPU)[1] is None


def test_colour_blobs_are_the_tabletop_s_alone():
    with pytest.raises(ValueError, match=r"num_colors must be 0 here, got 3.*tabletop"):
        JEPARecipe(RECIPE.model, RECIPE.schedule)

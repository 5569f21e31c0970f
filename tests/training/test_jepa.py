import dataclasses
import math

import pytest
import torch

from tests.training.toy import ENCODER, Killed, kill_at, toy_frames
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.errors import WorldModelError
from worldmodel.training.augment import Augment
from worldmodel.training.jepa import Batches, JEPARecipe, train_jepa
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.video_jepa import JEPAWeights, VideoJEPASpec

CPU = torch.device("cpu")
FRAMES = toy_frames()
RECIPE = JEPARecipe(
    VideoJEPASpec(ENCODER, latent_dim=8, targets=2, proprio=2, features=4),
    Schedule(4, save_every=0.0),
    Augment(colour=0.5, shift=0.5, pixels=1),
    windows=4,
    window=3,
    clips=2,
    clip_frames=4,
)


def test_a_killed_training_continues_to_the_same_encoder(tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(Killed):
        train_jepa(RECIPE, FRAMES, CPU, path, kill_at(3))
    resumed = train_jepa(RECIPE, FRAMES, CPU, path)
    whole = train_jepa(RECIPE, FRAMES, CPU)
    assert weights_hash(resumed) == weights_hash(whole)
    other = train_jepa(dataclasses.replace(RECIPE, seed=1), FRAMES, CPU)
    assert weights_hash(other) != weights_hash(whole)


@pytest.mark.parametrize("left_out", [None, *vars(JEPAWeights())])
def test_a_term_of_weight_0_is_left_out(left_out):
    weights = JEPAWeights()
    if left_out is not None:
        weights = dataclasses.replace(weights, **{left_out: 0.0})
    terms: dict[str, float] = {}
    recipe = dataclasses.replace(
        RECIPE,
        model=dataclasses.replace(RECIPE.model, weights=weights),
        schedule=Schedule(1),
    )
    train_jepa(recipe, FRAMES, CPU, on_step=lambda _, found: terms.update(found))
    wanted = {name for name in vars(weights) if name != left_out}
    assert set(terms) == {"total", "latent_std"} | wanted


def test_pictures_given_on_a_device_are_those_of_the_dataset():
    given = train_jepa(RECIPE, FRAMES, CPU, frames=torch.tensor(FRAMES.frames))
    assert weights_hash(given) == weights_hash(train_jepa(RECIPE, FRAMES, CPU))


def test_batches_stay_within_episodes():
    plain = dataclasses.replace(RECIPE, augment=Augment(), windows=64)
    batches = Batches(plain, FRAMES, CPU)
    batch = batches.draw(torch.Generator().manual_seed(0))
    frames, last = torch.from_numpy(FRAMES.frames), batches.episodes.last
    for window, later, first in zip(
        batch.clips, batch.later, batch.episodes.tolist(), strict=True
    ):
        own = frames[first : int(last[first]) + 1]
        now = place(own, window[1])
        assert torch.equal(window[0], own[max(now - 1, 0)])
        assert torch.equal(window[1:], own[now : now + plain.window])
        then = place(own, later[1])
        assert then > now
        assert torch.equal(later[0], own[then - 1])


def place(frames: torch.Tensor, picture: torch.Tensor) -> int:
    same = (frames == picture).flatten(1).all(1).nonzero()
    assert len(same) == 1
    return int(same)


def test_episodes_shorter_than_a_window_are_refused():
    recipe = dataclasses.replace(RECIPE, window=1000)
    with pytest.raises(WorldModelError, match="as long as window=1000"):
        train_jepa(recipe, FRAMES, CPU)


def test_it_needs_a_term():
    with pytest.raises(ValueError, match="one weight must be above 0"):
        JEPAWeights(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proprio": -1}, "proprio must be at least 0, got -1"),
        ({"latent_dim": 0}, "latent_dim must be at least 1, got 0"),
        ({"still": 1.5}, r"still must be in \[0, 1\], got 1.5"),
    ],
)
def test_a_model_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE.model, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 1}, r"window must be in \[2, 100000\], got 1"),
        ({"clips": 0}, r"clips must be in \[1, 100000\], got 0"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **change)


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_weight_that_is_none_is_refused(weight):
    message = f"weights.masked must be finite and at least 0, got {weight}"
    with pytest.raises(ValueError, match=message):
        JEPAWeights(masked=weight)

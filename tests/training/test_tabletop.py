from dataclasses import replace

import pytest
import torch

from tests.training.toy import ENCODER, EPISODES, STEPS, toy_frames
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.data import FrameCache
from worldmodel.encoders import FrozenEncoder, VideoViT
from worldmodel.errors import WorldModelError
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.projector import Targets
from worldmodel.training.proprio import standardised_proprio
from worldmodel.training.tabletop import Readouts, TabletopRecipe

RECIPE = TabletopRecipe(
    proprio=4, goal_proprio=3, proprio_correction=True, object_dims=5
)
DIM = 12
SLOTTED = replace(ENCODER, num_colors=4, num_slots=1)


def scene() -> tuple[LatentEpisodes, Targets, FrameCache]:
    """A hand that wanders and a thing that rests, jumps once and turns.

    Latents are the hand's four numbers, the thing's five and three of noise, mixed.
    """
    generator = torch.Generator().manual_seed(0)
    hand = 3 + 2 * torch.randn(EPISODES * STEPS, 4, generator=generator)
    frames = replace(toy_frames(), proprio=hand.numpy())
    thing = torch.randn(EPISODES, STEPS, 5, generator=generator)
    thing[:, : STEPS // 2] = thing[:, :1]
    thing[:, STEPS // 2 :] = thing[:, -1:]
    thing = thing.flatten(0, 1)
    noise = torch.randn(len(hand), 3, generator=generator)
    proprio = standardised_proprio(frames, 4)
    mix = torch.eye(DIM) + 0.2 * torch.randn(DIM, DIM, generator=generator)
    latents = torch.cat((proprio, thing, noise), dim=1) @ mix
    positions = torch.cat((thing[:, :3], torch.ones(len(hand), 1)), dim=1)
    blobs = torch.zeros(len(hand), 0, 4)
    targets = Targets(proprio, blobs, positions[:, None])
    return LatentEpisodes.of(latents, frames), targets, frames


def test_objects_come_first_and_proprio_follows():
    data, targets, frames = scene()
    found = RECIPE.readouts(data, targets, frames)
    assert found.directions is not None
    assert found.directions.shape == (5 + 4, DIM)
    told = data.latents @ found.directions.T
    told = told - told.mean(dim=0)
    positions = targets.object_positions[:, 0, :3]
    expected = positions - positions.mean(dim=0)
    torch.testing.assert_close(told[:, :3], expected, atol=0.01, rtol=0)
    torch.testing.assert_close(
        told[:, 5:], targets.proprio - targets.proprio.mean(dim=0), atol=0.01, rtol=0
    )
    assert found.proprio_distance is not None
    assert torch.equal(
        found.proprio_distance.readout.weight, found.directions[5 : 5 + 3]
    )


def test_correcting_proprio_leaves_alone_what_is_told_of_objects():
    data, targets, frames = scene()
    found = RECIPE.readouts(data, targets, frames)
    correction = found.proprio_correction
    assert correction is not None
    assert found.directions is not None
    assert torch.equal(correction.tell.weight, found.directions[5:])
    simplest = torch.linalg.pinv(correction.tell.weight)
    assert (found.directions[:5] @ simplest).abs().max() > 0.1
    lifted = found.directions[:5] @ correction.lift.weight
    torch.testing.assert_close(lifted, torch.zeros(5, 4), atol=1e-4, rtol=0)
    seen = replace(data, latents=data.latents + 0.1)  # not quite what was measured
    corrected = found.corrected(seen, frames).latents
    torch.testing.assert_close(
        correction.tell(corrected), targets.proprio, atol=1e-3, rtol=0
    )
    objects = found.directions[:5].T
    torch.testing.assert_close(
        corrected @ objects, seen.latents @ objects, atol=1e-3, rtol=0
    )


def test_without_object_dims_the_whole_latent_is_looked_at():
    data, targets, frames = scene()
    found = replace(RECIPE, object_dims=0).readouts(data, targets, frames)
    assert found.directions is None
    assert found.proprio_correction is not None
    assert RECIPE.projection(SLOTTED, DIM) == GoalProjectionSpec(DIM, 9, 3)
    whole = replace(RECIPE, object_dims=0).projection(SLOTTED, DIM)
    assert whole == GoalProjectionSpec(DIM)


def test_without_a_tabletop_nothing_is_told_and_nothing_read():
    data, _, frames = scene()
    encoder = FrozenEncoder(VideoViT(ENCODER))
    none = TabletopRecipe().targets(encoder, frames)
    count = len(data.latents)
    assert none.proprio.shape == (count, 0)
    assert none.blobs.shape == none.object_positions.shape == (count, 0, 4)
    found = TabletopRecipe().readouts(data, none, frames)
    assert vars(found) == vars(Readouts())
    assert found.corrected(data, frames) is data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proprio": -1, "goal_proprio": 0}, "proprio must be at least 0, got -1"),
        ({"object_dims": -1}, "object_dims must be at least 0, got -1"),
        ({"goal_proprio": 5}, r"goal_proprio must be in \[0, proprio=4\], got 5"),
        (
            {"proprio": 0, "goal_proprio": 0},
            "proprio_correction needs proprio above 0, got 0",
        ),
        (
            {"proprio": 2, "goal_proprio": 2},
            "object_dims needs at least 3 dimensions of proprio, .* got proprio=2",
        ),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, **change)


def test_more_directions_than_the_latent_has_are_refused():
    encoder = replace(ENCODER, num_colors=4, num_slots=1)
    many = replace(RECIPE, object_dims=DIM + 1)
    with pytest.raises(WorldModelError, match=f"at most the latent's width {DIM}"):
        many.projection(encoder, DIM)


@pytest.mark.parametrize(("slots", "dims"), [(0, 5), (2, 5)])
def test_directions_that_do_not_fit_the_encoder_are_refused(slots, dims):
    encoder = replace(ENCODER, num_colors=4, num_slots=slots)
    message = f"object_dims must be at least 3 for .* got object_dims={dims} and"
    with pytest.raises(WorldModelError, match=message):
        replace(RECIPE, object_dims=dims).projection(encoder, DIM)

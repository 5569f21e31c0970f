import torch

from tests.training.toy import toy_frames
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.proprio import standardised_proprio, training_rows
from worldmodel.training.readouts import (
    object_directions,
    position_readout,
    proprio_distance,
    proprio_readout,
)

EPISODES, STEPS = 200, 20
FRAMES = toy_frames()
FELT = standardised_proprio(FRAMES, 2)


def places(told: torch.Tensor) -> torch.Tensor:
    """Targets (N, 1, 4) of one thing, all of them trusted."""
    return torch.cat((told, torch.ones(len(told), 1)), dim=1)[:, None]


def test_proprio_is_read_where_latents_tell_it_linearly():
    mix = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    latents = FELT @ mix + torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    readout = proprio_readout(latents, FELT, FRAMES)
    torch.testing.assert_close(readout(latents), FELT, atol=1e-2, rtol=1e-2)
    distance = proprio_distance(readout, 1)
    assert distance is not None
    assert torch.equal(distance.readout.weight, readout.weight[:1])
    assert proprio_distance(readout, 0) is None


def test_places_are_fitted_where_they_are_to_be_trusted():
    other = torch.randn(len(FELT), 3, generator=torch.Generator().manual_seed(0))
    targets = places(other)
    untrusted = torch.arange(len(FELT)) % 3 == 0
    targets[untrusted, :, :3] = 50.0
    targets[untrusted, :, 3] = 0.0
    read = position_readout(torch.cat((FELT, other), dim=1), targets, FRAMES)
    expected = torch.cat((torch.zeros(3, 2), torch.eye(3)), dim=1)
    torch.testing.assert_close(read, expected, atol=1e-3, rtol=0)


def test_each_thing_has_three_rows_of_its_own():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(len(FELT), 6, generator=generator)
    both = torch.cat((places(latents[:, :3]), places(latents[:, 3:])), dim=1)
    read = position_readout(latents, both, FRAMES)
    torch.testing.assert_close(read, torch.eye(6), atol=1e-3, rtol=0)


def things_and_a_wanderer() -> LatentEpisodes:
    """A thing that rests, jumps and turns, and a gripper that wanders.

    Dimensions 0 and 1 tell the thing's place and how it is turned, with the gripper's
    shadow on both, 2 the gripper, 3 the shadow alone.
    """
    generator = torch.Generator().manual_seed(0)
    gripper = torch.randn(EPISODES, STEPS, generator=generator)
    thing = torch.randn(EPISODES, STEPS, 2, generator=generator)
    thing[:, : STEPS // 2] = thing[:, :1]
    thing[:, STEPS // 2 :] = thing[:, -1:]
    place, turned = 3 * thing[..., 0], thing[..., 1]
    shadow = 0.3 * torch.randn(EPISODES, STEPS, generator=generator)
    told = (place + shadow, turned + shadow, gripper, shadow)
    latents = torch.stack(told, dim=-1).flatten(0, 1)
    rows = torch.arange(len(latents))
    first = rows - rows % STEPS
    last = first + STEPS - 1
    return LatentEpisodes(latents, first, last, rows[rows < last])


def test_what_stays_while_things_stay_is_found_and_the_shadow_taken_off():
    data = things_and_a_wanderer()
    seen = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    found = object_directions(data, seen, count=4)
    assert found.shape == (4, 4)
    assert torch.equal(found[:1], seen)
    turned = found[1] / found[1, 1]
    expected = torch.tensor([0.0, 1.0, 0.0, -1.0])
    torch.testing.assert_close(turned, expected, atol=0.2, rtol=0)
    # All are as noisy, and along the first discriminant the deviation is 1.
    told = (data.latents[data.rows] @ found[1:].T).std(dim=0).tolist()
    assert 1.0 >= told[0] >= 0.05
    assert told == sorted(told, reverse=True)


def test_only_the_training_split_is_fitted():
    latents = FELT.repeat(1, 2)
    held = ~training_rows(FRAMES)
    spoiled = latents.clone()
    spoiled[held] = 100.0
    clean = proprio_readout(latents, FELT, FRAMES)
    found = proprio_readout(spoiled, FELT, FRAMES)
    assert torch.equal(clean.weight, found.weight)
    assert torch.equal(clean.bias, found.bias)
    targets = places(torch.cat((FELT, FELT[:, :1]), dim=1))
    assert torch.equal(
        position_readout(latents, targets, FRAMES),
        position_readout(spoiled, targets, FRAMES),
    )

import pytest
import torch

from tests.training.toy import toy_frames
from worldmodel.encoders.blobs import ColorBlobs
from worldmodel.errors import WorldModelError
from worldmodel.training.object_slots import find_slots
from worldmodel.training.smoothing import smoothed_positions

OFFSETS = torch.tensor([0, 6]).numpy()


def three_words() -> ColorBlobs:
    blobs = ColorBlobs(3)
    blobs.set(torch.tensor([[255.0, 0, 0], [0, 255.0, 0], [0, 0, 255.0]]))
    return blobs


def sums(places: list[torch.Tensor], pixels: float = 20.0) -> torch.Tensor:
    """(N, K, 3) of blobs that show `pixels` each at places (N, 2)."""
    stacked = torch.stack(places, dim=1)
    return torch.cat((torch.ones(*stacked.shape[:2], 1), stacked), dim=-1) * pixels


def test_colours_that_stay_together_are_a_thing_and_the_robot_is_none():
    cache = toy_frames()
    generator = torch.Generator().manual_seed(0)
    count = len(cache.frames)
    thing = 2 * torch.rand(count, 2, generator=generator) - 1
    beside = thing + 0.05 * torch.rand(count, 2, generator=generator)
    robot = torch.from_numpy(cache.proprio[:, :2]).float()  # proprio tells it
    blobs = find_slots(cache, three_words(), sums([thing, robot, beside]), 1)
    assert blobs.slots == 1
    assert blobs.members.tolist() == [[1.0, 0.0, 1.0]]


def test_colours_apart_are_two_things_and_no_third_is_made_up():
    cache = toy_frames()
    generator = torch.Generator().manual_seed(0)
    one, other, third = 2 * torch.rand(3, len(cache.frames), 2, generator=generator) - 1
    found = sums([one, other, third])
    found[:, 1] *= 3  # the largest is the first
    blobs = find_slots(cache, three_words(), found, 3)
    assert blobs.members.argmax(dim=1).tolist() == [1, 0, 2]
    with pytest.raises(WorldModelError, match="num_slots must be at most 3, .* got 4"):
        find_slots(cache, three_words(), found, 4)


def test_a_thing_that_was_hidden_was_where_it_was_before_and_after():
    places = torch.tensor([[0.1, 0.2]] * 6)
    trust = torch.full((6,), 0.9)
    places[2:4], trust[2:4] = 0.0, 0.0  # not seen
    where, sure = smoothed_positions(places, trust, OFFSETS)
    torch.testing.assert_close(where, torch.tensor([[0.1, 0.2]] * 6))
    torch.testing.assert_close(sure, torch.full((6,), 0.9))


def test_a_thing_that_moves_is_where_it_is_seen():
    steps = torch.arange(6.0)[:, None]
    places = torch.cat((0.1 * steps, -0.1 * steps), dim=1)
    trust = torch.full((6,), 0.9)
    trust[3] = 0.0
    where, sure = smoothed_positions(places, trust, OFFSETS)
    torch.testing.assert_close(where, places)
    torch.testing.assert_close(sure, trust)

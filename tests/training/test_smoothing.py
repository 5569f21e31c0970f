import torch

from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.smoothing import smoothed

DIRECTIONS = torch.eye(3)  # the first says where a thing is


def episodes(*places: list[float]) -> LatentEpisodes:
    """Latents (N, 3): the thing's place, and two numbers that stay out of it."""
    lengths = torch.tensor([len(one) for one in places])
    ends = lengths.cumsum(0)
    first = (ends - lengths).repeat_interleave(lengths)
    last = (ends - 1).repeat_interleave(lengths)
    told = torch.tensor([place for one in places for place in one])
    others = torch.arange(2.0 * len(told)).view(-1, 2)
    rows = torch.arange(len(told))
    latents = torch.cat((told[:, None], others), dim=1)
    return LatentEpisodes(latents, first, last, rows[rows < last])


def places(data: LatentEpisodes, within: int = 6) -> list[float]:
    found = smoothed(data, DIRECTIONS, 1, alike=0.1, within=within)
    torch.testing.assert_close(found.latents[:, 1:], data.latents[:, 1:])
    return [round(value, 4) for value in found.latents[:, 0].tolist()]


def test_what_is_seen_elsewhere_for_a_while_did_not_move():
    data = episodes([0.0, 0.0, 2.0, 1.5, 0.0, 0.0])
    assert places(data) == [0.0] * 6


def test_what_moved_and_stays_there_moved():
    data = episodes([0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0])
    assert places(data) == [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0]


def test_noise_of_a_thing_at_rest_is_averaged():
    data = episodes([0.02, -0.02, 0.02, -0.02, 0.02, -0.02])
    found = torch.tensor(places(data))
    assert found.abs().max() < 0.011


def test_pairs_farther_apart_than_allowed_do_not_count():
    seen = [0.0, 2.0, 2.5, 3.0, 3.5, 0.0]
    assert places(episodes(seen), within=4) == seen
    assert places(episodes(seen), within=5) == [0.0] * 6


def test_episodes_do_not_speak_for_each_other():
    seen = [[0.0, 2.0], [0.0, 3.0], [5.0]]
    assert places(episodes(*seen)) == [0.0, 2.0, 0.0, 3.0, 5.0]

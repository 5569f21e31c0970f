import torch

from worldmodel.training.smoothing import between


def places(*seen: float, within: int = 6) -> list[float]:
    """Where a thing was in an episode, from where it seemed to be."""
    found = between(torch.tensor(seen)[:, None], alike=0.1, within=within)
    return [round(value, 4) for value in found[:, 0].tolist()]


def test_what_is_seen_elsewhere_for_a_while_did_not_move():
    assert places(0.0, 0.0, 2.0, 1.5, 0.0, 0.0) == [0.0] * 6


def test_what_moved_and_stays_there_moved():
    seen = [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    assert places(*seen) == seen


def test_noise_of_a_thing_at_rest_is_averaged():
    found = places(0.02, -0.02, 0.02, -0.02, 0.02, -0.02)
    assert torch.tensor(found).abs().max() < 0.011


def test_pairs_farther_apart_than_allowed_do_not_count():
    seen = [0.0, 2.0, 2.5, 3.0, 3.5, 0.0]
    assert places(*seen, within=4) == seen
    assert places(*seen, within=5) == [0.0] * 6


def test_only_the_first_numbers_are_compared_where_it_is_asked_for():
    seen = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]])
    whole = between(seen, alike=0.1, within=2)
    torch.testing.assert_close(whole, seen)
    first = between(seen, alike=0.1, within=2, judged=1)
    torch.testing.assert_close(first, torch.tensor([[0.0, 2.0]]).expand(3, -1))

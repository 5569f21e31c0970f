"""Random shooting's own settings."""

import pytest
import torch

from planners import RandomShooting


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, r"samples must be in \[1, 1000000\], got 0"),
        ({"std": 0.0}, "std must be positive, got 0.0"),
        ({"correlation": 2.0}, r"correlation must be in \[0, 1\), got 2.0"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RandomShooting(**settings)


def test_the_answer_is_the_cheapest_candidate(squared_distance, recording):
    target = torch.full((2, 3, 2), 0.5)
    cost = squared_distance(target)
    seen = []

    recorded = recording(cost, seen)

    plan = RandomShooting(40).plan(recorded, torch.zeros(2, 3, 2), torch.arange(2))
    values = cost(seen[0])
    best = values.argmin(dim=1)
    assert torch.equal(plan.cost, values.amin(dim=1))
    assert torch.equal(plan.actions, seen[0][torch.arange(2), best])


def test_one_sample_is_the_guess(squared_distance):
    guess = torch.full((2, 3, 2), 0.5)
    plan = RandomShooting(1).plan(
        squared_distance(torch.zeros_like(guess)), guess, torch.arange(2)
    )
    assert torch.equal(plan.actions, guess)

"""Sorting and summing candidates."""

import torch

from planners.ranking import (
    Scored,
    cheapest,
    finite_means,
    ordered_sum,
    score,
    weighted_moments,
)


def test_ordered_sum_is_the_sum_for_every_length():
    for length in range(1, 40):
        values = torch.arange(2 * length * 3, dtype=torch.float64).view(2, length, 3)
        assert torch.equal(ordered_sum(values), values.sum(dim=1))


def test_ordered_sum_leaves_its_input_alone():
    values = torch.ones(1, 7, 2)
    ordered_sum(values)
    assert torch.equal(values, torch.ones(1, 7, 2))


def test_cheapest_is_sorted_and_prefers_the_first_of_equals():
    cost = torch.tensor([[3.0, 1.0, 2.0, 1.0], [torch.inf, 5.0, 5.0, 4.0]])
    actions = torch.arange(8.0).view(2, 4, 1, 1)
    best = cheapest(Scored(actions, cost), 3)
    assert best.cost.tolist() == [[1.0, 1.0, 2.0], [4.0, 5.0, 5.0]]
    assert best.actions.flatten(1).tolist() == [[1.0, 3.0, 2.0], [7.0, 5.0, 6.0]]


def test_score_turns_what_is_not_finite_into_the_worst():
    values = torch.tensor([[1.0, torch.nan, -torch.inf, torch.inf]])
    scored = score(lambda actions: values, torch.zeros(1, 4, 1, 1))
    assert scored.cost.tolist() == [[1.0, torch.inf, torch.inf, torch.inf]]


def test_finite_means_leave_out_what_is_infinite():
    cost = torch.tensor([[1.0, 3.0, torch.inf], [torch.inf, torch.inf, torch.inf]])
    assert finite_means([cost, cost + 1]).tolist() == [
        [2.0, torch.inf],
        [3.0, torch.inf],
    ]


def test_weighted_moments_are_those_of_the_repeated_values():
    actions = torch.tensor([1.0, 4.0, -2.0], dtype=torch.float64).view(1, 3, 1, 1)
    weights = torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    mean, std = weighted_moments(actions, weights)
    repeated = torch.tensor([1.0, 4.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(mean[0, 0, 0], repeated.mean())
    torch.testing.assert_close(std[0, 0, 0], repeated.std(correction=0))

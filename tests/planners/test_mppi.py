"""MPPI's weights and settings."""

import math

import pytest
import torch

from planners import CEM, MPPI


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 10, "elites": 30}, r"elites must be in \[2, samples=10\], got 30"),
        ({"iterations": 0}, r"iterations must be in \[1, 100000\], got 0"),
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
        ({"std": -1.0}, "std must be positive, got -1.0"),
        ({"min_std": -0.1}, "min_std must be finite and at least 0.0, got -0.1"),
        ({"correlation": -0.1}, r"correlation must be in \[0, 1\), got -0.1"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MPPI(**settings)


def test_weights_are_exponential_in_gaps_of_the_median():
    cost = torch.tensor([[10.0, 12.0, 14.0, 18.0, 1e9, torch.inf]])
    weights = MPPI(temperature=0.5).weights(cost)
    expected = torch.exp(-torch.tensor([0.0, 0.5, 1.0, 2.0]) / 0.5)
    torch.testing.assert_close(weights[0, :4], expected)
    assert weights[0, 4:].tolist() == [0.0, 0.0]


def test_the_median_of_an_even_number_is_the_upper_one():
    cost = torch.tensor([[1.0, 3.0], [1.0, torch.inf], [2.0, 2.0]])
    weights = MPPI(temperature=0.5).weights(cost)
    assert weights[0].tolist() == pytest.approx([1.0, math.exp(-2.0)])
    assert weights[1:].tolist() == [[1.0, 0.0], [1.0, 1.0]]


def test_weights_in_units_of_the_cost_are_the_closed_form():
    cost = torch.tensor([[-3.0, -2.5, 1.0, 40.0, torch.inf]], dtype=torch.float64)
    weights = MPPI(temperature=2.0, relative=False).weights(cost)
    expected = torch.softmax(-cost / 2.0, dim=1)
    torch.testing.assert_close(weights / weights.sum(), expected)


def test_weights_ignore_scale_and_offset_of_the_cost():
    cost = torch.tensor([[1.0, 2.0, 5.0, 6.0]], dtype=torch.float64)
    planner = MPPI(temperature=1.0)
    torch.testing.assert_close(
        planner.weights(cost * 1e-3 + 7.0), planner.weights(cost)
    )


@pytest.mark.parametrize("temperature", [1e-3, 1.0, float("inf")])
@pytest.mark.parametrize("relative", [True, False])
def test_equal_costs_weigh_the_same(temperature, relative):
    planner = MPPI(temperature=temperature, relative=relative)
    assert planner.weights(torch.full((1, 5), 3.0)).tolist() == [[1.0] * 5]


def test_the_classical_update_is_the_weighted_mean_of_all_samples(
    squared_distance, recording
):
    target = torch.full((1, 2, 2), 0.5)
    cost, seen = squared_distance(target), []

    recorded = recording(cost, seen)

    planner = MPPI(50, 50, 2, 0.7, relative=False, std=0.4, std_momentum=1.0)
    plan = planner.plan(recorded, torch.zeros(1, 2, 2), torch.tensor([3]))
    for drawn, after in ((seen[0], seen[1]), (seen[1], seen[2])):
        weights = torch.softmax(-cost(drawn)[0].double() / 0.7, dim=0)
        expected = torch.einsum("n,nha->ha", weights, drawn[0].double())
        torch.testing.assert_close(after[0, 0], expected.float())
    assert plan.next_guess.std is not None
    assert (plan.next_guess.std == 0.4).all()


def test_infinite_temperature_gives_the_mean_of_cem(squared_distance):
    target = torch.full((1, 3, 2), 0.4)
    cost = squared_distance(target)
    guess, seeds = torch.zeros(1, 3, 2), torch.tensor([0])
    plan = MPPI(60, 12, iterations=3, temperature=float("inf")).plan(cost, guess, seeds)
    mean = CEM(
        60,
        12,
        iterations=3,
        mean_momentum=0.0,
        std_momentum=0.0,
        kept=0,
        answer="mean",
    ).plan(cost, guess, seeds)
    assert torch.equal(plan.actions, mean.actions)


def test_a_low_temperature_follows_the_best_candidate(squared_distance):
    target = torch.full((1, 2, 2), 0.4)
    plan = MPPI(100, 20, iterations=1, temperature=1e-3).plan(
        squared_distance(target), torch.zeros(1, 2, 2), torch.tensor([0])
    )
    torch.testing.assert_close(plan.cost, plan.best_cost[0])


def test_a_forbidden_mean_is_answered_with_the_best_candidate():
    # Two allowed shores with a forbidden river between: the mean drowns.
    def cost(actions):
        place = actions[:, :, 0, 0]
        return torch.where(place.abs() < 0.5, torch.nan, place.abs())

    planner = MPPI(200, 100, iterations=1, temperature=float("inf"))
    plan = planner.plan(cost, torch.zeros(1, 1, 1), torch.tensor([0]))
    assert not plan.invalid.any()
    assert 0.5 <= plan.cost.item() < 0.6

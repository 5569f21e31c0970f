"""What iCEM changes in the cross-entropy method."""

import pytest
import torch

from planners import CEM, ICEM, Guess


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 10, "elites": 30}, r"elites must be in \[2, samples=10\], got 30"),
        ({"decay": 0.9}, "decay must be finite and at least 1.0, got 0.9"),
        ({"kept": 31}, r"kept must be in \[0, elites=30\] .* got 31"),
        ({"colour": -1.0}, "colour must be finite and at least 0.0, got -1.0"),
        ({"budget_ms": 0.0}, "budget_ms must be positive, got 0.0"),
        ({"std_momentum": 1.0}, r"std_momentum must be in \[0, 1\), got 1.0"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ICEM(**settings)


def test_the_population_shrinks_to_twice_the_elites(squared_distance):
    target, counts = torch.full((1, 3, 2), 0.4), []

    def cost(actions):
        counts.append(actions.shape[1])
        return squared_distance(target)(actions)

    planner = ICEM(samples=100, elites=15, iterations=5, decay=2.0, kept=3)
    plan = planner.plan(cost, torch.zeros(1, 3, 2), torch.tensor([0]))
    assert counts == [100, 50, 30, 30, 30]
    assert plan.evaluations == 240


def test_the_mean_is_a_candidate_in_the_first_and_the_last_iteration(
    squared_distance, recording
):
    target, seen = torch.full((1, 3, 2), 0.4), []

    cost = recording(squared_distance(target), seen)

    guess = torch.full((1, 3, 2), 0.1)
    planner = ICEM(60, 10, iterations=3, mean_momentum=0.0, kept=0, colour=0.0)
    planner.plan(cost, guess, torch.tensor([0]))
    assert torch.equal(seen[0][:, 0], guess)
    elites = seen[1][0][squared_distance(target)(seen[1])[0].argsort()[:10]]
    torch.testing.assert_close(seen[2][0, 0], elites.mean(dim=0))
    elites = seen[0][0][squared_distance(target)(seen[0])[0].argsort()[:10]]
    assert (seen[1][0] - elites.mean(dim=0)).abs().amax(dim=(1, 2)).min() > 1e-3


def test_without_its_changes_it_is_cem(squared_distance):
    target = torch.full((2, 3, 2), 0.4)
    cost, guess = squared_distance(target), torch.zeros(2, 3, 2)
    settings = {"samples": 50, "elites": 8, "iterations": 1, "std": 0.5, "kept": 2}
    one = ICEM(**settings, decay=1.0, colour=0.0).plan(cost, guess, torch.arange(2))
    other = CEM(**settings).plan(cost, guess, torch.arange(2))
    assert torch.equal(one.best_cost, other.best_cost)
    for name in ("std", "elites"):
        found = getattr(one.next_guess, name)
        assert torch.equal(found, getattr(other.next_guess, name))


def test_kept_elites_begin_the_next_plan(squared_distance):
    target = torch.full((1, 4, 2), 0.4)
    planner = ICEM(samples=40, elites=8, iterations=2, kept=3)
    cost = squared_distance(target)
    plan = planner.plan(cost, torch.zeros(1, 4, 2), torch.tensor([0]))
    assert plan.next_guess.elites is not None
    assert plan.next_guess.elites.shape == (1, 3, 4, 2)
    again = planner.plan(
        cost,
        Guess(torch.zeros(1, 4, 2), elites=plan.next_guess.elites),
        torch.ones(1).long(),
    )
    assert again.best_cost[0] <= plan.cost


def test_without_time_for_the_last_iteration_its_mean_is_tried_all_the_same(
    squared_distance, recording
):
    quadratic, seen = squared_distance(torch.full((1, 3, 2), 0.4)), []

    cost = recording(quadratic, seen)

    planner = ICEM(40, 8, iterations=100000, kept=0, budget_ms=10.0)
    plan = planner.plan(cost, torch.zeros(1, 3, 2), torch.tensor([0]))
    assert seen[-1].shape[1] == 1
    assert plan.evaluations == sum(asked.shape[1] for asked in seen)
    assert torch.equal(
        plan.cost, torch.cat([quadratic(a)[0] for a in seen]).min()[None]
    )

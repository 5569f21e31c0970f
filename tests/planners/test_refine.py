"""One search after another."""

from dataclasses import replace

import pytest
import torch

from planners import CEM, Gradient, RandomShooting, Refine


def test_refine_descends_from_where_the_first_search_ended(squared_distance):
    target = torch.linspace(-0.9, 0.9, 20).view(1, 5, 4)
    cost, guess, seeds = (
        squared_distance(target),
        torch.zeros(1, 5, 4),
        torch.tensor([0]),
    )
    search = CEM(samples=64, elites=8, iterations=3)
    found = search.plan(cost, guess, seeds)
    planner = Refine(search, Gradient(starts=3, iterations=30, rate=0.02))
    refined = planner.plan(cost, guess, seeds)
    assert torch.equal(refined.best_cost[:3], found.best_cost)
    assert refined.cost < 0.1 * found.cost
    assert torch.equal(refined.next_guess.mean, refined.actions)


def test_refine_keeps_the_first_answer_where_the_second_is_worse(squared_distance):
    target = torch.zeros(1, 2, 2)
    rough = Gradient(starts=3, iterations=1, rate=1.0)
    search = CEM(samples=64, elites=8, iterations=8)
    cost, seeds = squared_distance(target), torch.tensor([0])
    guess = torch.full((1, 2, 2), 0.5)
    found = search.plan(cost, guess, seeds)
    assert torch.equal(Refine(search, rough).plan(cost, guess, seeds).cost, found.cost)
    assert Refine(rough, search).plan(cost, guess, seeds).cost < 0.05


def test_the_second_of_two_searches_has_its_own_std(squared_distance):
    target = torch.full((1, 2, 2), 0.9)
    cost, guess, seeds = (
        squared_distance(target),
        torch.zeros(1, 2, 2),
        torch.tensor([0]),
    )
    first = CEM(samples=20, elites=4, iterations=1, std=0.01)
    costs = [
        Refine(first, CEM(40, 8, 1, std=std)).plan(cost, guess, seeds).cost
        for std in (0.01, 0.9)
    ]
    assert costs[1] < 0.5 * costs[0]


def test_a_second_search_without_room_for_the_first_is_refused():
    message = r"at least the 4 candidates .* kept=3\), got a planner .* with 3"
    with pytest.raises(ValueError, match=message):
        Refine(CEM(20, 5, kept=3), Gradient(starts=3))
    nested = Refine(RandomShooting(20), CEM(20, 5, kept=3))
    with pytest.raises(ValueError, match=message):
        Refine(nested, Gradient(starts=3))
    assert (nested.room, nested.kept) == (20, 3)
    with pytest.raises(ValueError, match="budget_ms must be positive, got 0"):
        Refine(CEM(), Gradient(), budget_ms=0)


def test_answers_are_compared_by_costs_that_were_asked_for_alike(squared_distance):
    quadratic = squared_distance(torch.full((1, 2, 1), 0.9))

    def cost(actions):  # with a gradient everything seems dearer
        return quadratic(actions) + (10.0 if actions.requires_grad else 0.0)

    search = CEM(samples=10, elites=3, iterations=1, std=0.1)
    descent = Gradient(starts=4, iterations=40, rate=0.05)
    guess, seeds = torch.zeros(1, 2, 1), torch.tensor([0])
    for planner in (Refine(search, descent), Refine(descent, search)):
        plan = planner.plan(cost, guess, seeds)
        assert plan.cost.item() < 0.01
        assert torch.equal(plan.cost, quadratic(plan.actions[:, None])[:, 0])


def test_it_hands_on_what_its_second_search_kept_or_without_time_its_first():
    planner = Refine(CEM(20, 8, kept=8), Gradient(starts=9))
    assert planner.kept == 0
    assert replace(planner, budget_ms=5.0).kept == 8


def test_every_search_has_noise_of_its_own(squared_distance):
    quadratic, seen = squared_distance(torch.zeros(1, 2, 2)), []

    def cost(actions):
        seen.append(actions.clone())
        return quadratic(actions)

    guess, seeds = torch.zeros(1, 2, 2), torch.tensor([4])
    one = RandomShooting(samples=8, std=0.1)
    for planner in (Refine(Refine(one, one), one), Refine(one, Refine(one, one))):
        seen.clear()
        planner.plan(cost, guess, seeds)
        noises = [(asked - asked[:, :1])[0, 1:] for asked in seen if asked.shape[1] > 2]
        assert len(noises) == 3
        for first, second in ((0, 1), (0, 2), (1, 2)):
            assert (noises[first] - noises[second]).abs().max() > 0.01

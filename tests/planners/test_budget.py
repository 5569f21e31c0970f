"""Iterations that end in time."""

import time

import pytest
import torch

from planners import CEM, CMAES, ICEM, MPPI, Gradient
from planners.budget import within

CPU = torch.device("cpu")


def test_without_a_budget_all_iterations_run():
    assert list(within(7, None, CPU)) == [*range(7)]


def test_the_first_iteration_always_runs():
    began = []
    for iteration in within(5, 1e-6, CPU):
        began.append(iteration)
        time.sleep(0.001)
    assert began == [0]


def test_no_iteration_begins_that_would_end_too_late():
    began = time.perf_counter()
    count = 0
    for _ in within(1000, 60.0, CPU):
        time.sleep(0.01)
        count += 1
    took = time.perf_counter() - began
    assert 1 <= count <= 6
    assert took < 0.1  # a sleep may last longer on a busy machine


@pytest.mark.parametrize(
    "planner",
    [
        CEM(20, 4, iterations=100000, budget_ms=30.0),
        ICEM(20, 4, iterations=100000, kept=2, budget_ms=30.0),
        MPPI(20, 4, iterations=100000, budget_ms=30.0),
        CMAES(20, iterations=100000, budget_ms=30.0),
        Gradient(4, iterations=100000, budget_ms=30.0),
    ],
    ids=lambda planner: type(planner).__name__,
)
def test_a_search_ends_in_time_and_says_how_much_it_did(planner, squared_distance):
    target = torch.full((2, 2, 2), 0.4)
    quadratic = squared_distance(target)

    def cost(actions):
        time.sleep(0.004)
        return quadratic(actions)

    began = time.perf_counter()
    plan = planner.plan(cost, torch.zeros(2, 2, 2), torch.arange(2))
    took = time.perf_counter() - began
    # One iteration late, the last mean, and as much again for a busy machine.
    assert took < 0.030 + 0.02
    iterations = len(plan.best_cost)
    each = getattr(planner, "samples", None) or planner.starts
    assert 1 <= iterations < 100000
    assert plan.evaluations <= iterations * each + each
    assert not plan.invalid.any()

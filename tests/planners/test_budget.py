"""Iterations that end in time."""

from dataclasses import replace

import pytest
import torch

from planners import CEM, CMAES, ICEM, MPPI, Gradient, Refine
from planners.search import within

CPU = torch.device("cpu")


def test_without_a_budget_all_iterations_run():
    assert list(within(7, None, CPU)) == [*range(7)]


EACH_MS = 4.0  # an iteration's


class _Clock:
    """Stands in for `time`: it goes on with the candidates that are asked for."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def on(self, cost, samples: int = 20):
        def timed(actions):
            self.now += EACH_MS * 1e-3 * actions.shape[1] / samples
            return cost(actions)

        return timed


@pytest.fixture
def clock(monkeypatch):
    clock = _Clock()
    monkeypatch.setattr("planners.search.time", clock)
    monkeypatch.setattr("planners.refine.time", clock)
    return clock


def test_the_first_iteration_always_runs(clock):
    began = []
    for iteration in within(5, 1e-6, CPU):
        began.append(iteration)
        clock.now += 0.001
    assert began == [0]


def test_no_iteration_begins_that_would_end_too_late(clock):
    for spent, expected in (([10.0] * 9, 5), ([10.0, 30.0, 5.0, 5.0], 2), ([70.0], 1)):
        clock.now, count = 0.0, 0
        for iteration in within(1000, 59.0, CPU):
            clock.now += spent[iteration] * 1e-3
            count += 1
        assert count == expected


MANY = 100000
SEARCHES = [
    CEM(20, 4, iterations=MANY),
    ICEM(20, 4, iterations=MANY, kept=2),
    MPPI(20, 4, iterations=MANY),
    CMAES(20, iterations=MANY),
    Gradient(20, iterations=MANY),
    Refine(CEM(20, 4, iterations=MANY), Gradient(20)),
    Refine(CEM(20, 4, iterations=4), MPPI(20, 4, iterations=MANY)),
    Refine(CEM(20, 4, iterations=4), Gradient(20, iterations=MANY)),
]


@pytest.mark.parametrize("budget_ms", [1.0, 30.0, 50.0])
@pytest.mark.parametrize("planner", SEARCHES, ids=lambda one: type(one).__name__)
def test_a_search_ends_in_time_and_says_how_much_it_did(
    planner, budget_ms, squared_distance, clock
):
    target = torch.full((2, 2, 2), 0.4)
    cost = clock.on(squared_distance(target))
    search = replace(planner, budget_ms=budget_ms)
    plan = search.plan(cost, torch.zeros(2, 2, 2), torch.arange(2))
    tail = EACH_MS if "Gradient" in repr(planner) else EACH_MS / 20
    late = max(budget_ms, EACH_MS) + tail + 3 * EACH_MS / 20  # both answers of Refine
    assert 1e3 * clock.now <= late + 1e-6
    assert 1e3 * clock.now > budget_ms - 2 * EACH_MS  # it uses the time that it has
    iterations = len(plan.best_cost)
    assert plan.evaluations <= 20 * (iterations + 2)
    assert not plan.invalid.any()


def test_setting_up_is_on_the_clock_too(squared_distance, clock, monkeypatch):
    made = CMAES._evolutions

    def slow(*given):
        clock.now += 0.02
        return made(*given)

    monkeypatch.setattr(CMAES, "_evolutions", slow)
    cost = clock.on(squared_distance(torch.full((2, 2, 2), 0.4)))
    planner = CMAES(20, iterations=MANY, budget_ms=40.0)
    plan = planner.plan(cost, torch.zeros(2, 2, 2), torch.arange(2))
    assert len(plan.best_cost) == 1  # another may take as long as the first, 24 ms


def test_both_searches_of_refine_share_a_budget(squared_distance, clock):
    cost = clock.on(squared_distance(torch.full((1, 2, 2), 0.4)))
    first, then = CEM(20, 4, iterations=4), MPPI(20, 4, iterations=MANY)
    iterations = []
    for budget_ms in (10.0, 19.0, 21.0, 62.0):
        planner = Refine(first, then, budget_ms=budget_ms)
        plan = planner.plan(cost, torch.zeros(1, 2, 2), torch.tensor([0]))
        iterations.append(len(plan.best_cost))
    # Two of the first; its four; these and one of the second; and eleven of it.
    assert iterations == [2, 4, 5, 15]
    own = Refine(first, replace(then, budget_ms=9.0), budget_ms=60.0)
    plan = own.plan(cost, torch.zeros(1, 2, 2), torch.tensor([0]))
    assert len(plan.best_cost) == 6

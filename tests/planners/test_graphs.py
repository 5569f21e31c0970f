from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from planners import (
    CEM,
    CMAES,
    ICEM,
    MPPI,
    Gradient,
    Guess,
    Plan,
    Planner,
    RandomShooting,
    Refine,
)
from planners.graphs import Graphed, require_recordable, tensors
from tests.recording import (
    DEVICES,
    NothingFromTheCPU,
    moved,
    record,
    where_graphs_are_recorded,
)

PLANNERS = [
    RandomShooting(32),
    CEM(32, 4, 2, std=0.3, correlation=0.5),
    CEM(32, 4, 2, std=[0.1, 0.3]),
    ICEM(32, 4, 2, kept=2),
    MPPI(32, 8, 2),
    Gradient(starts=6, iterations=2, rate=0.05),
    Refine(CEM(32, 4, 2), Gradient(starts=6, iterations=2, rate=0.05)),
]


def searched(planner: Planner, calls: list[None]) -> Callable[..., Plan]:
    def plan(target: Tensor, guess: Guess, seeds: Tensor) -> Plan:
        calls.append(None)

        def cost(actions: Tensor) -> Tensor:
            return (actions - target[:, None]).square().sum(dim=(2, 3))

        return planner.plan(cost, guess, seeds)

    return plan


def problem(seed: int, batch: int = 2) -> tuple[Tensor, Guess, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target, mean, std, elite = torch.rand((4, batch, 3, 2), generator=generator)
    guess = Guess(mean - 0.5, std, elite[:, None])
    return target - 0.5, guess, torch.arange(batch) + seed


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("planner", PLANNERS, ids=lambda p: type(p).__name__)
def test_a_replayed_plan_is_bitwise_the_plan(planner, device, monkeypatch):
    device = where_graphs_are_recorded(monkeypatch, device)
    calls: list[None] = []
    plan = searched(planner, calls)
    graphed = Graphed(plan)
    problems = [moved(problem(seed), device) for seed in range(3)]
    replayed = [graphed(*problems[0])]
    recorded = len(calls)
    replayed += [graphed(*inputs) for inputs in problems[1:]]
    assert len(calls) == recorded  # no Python ran
    for inputs, found in zip(problems, replayed, strict=True):
        expected = plan(*inputs)
        assert found.evaluations == expected.evaluations
        for ours, theirs in zip(tensors(found), tensors(expected), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("planner", PLANNERS, ids=lambda p: type(p).__name__)
def test_a_plan_stays_on_its_device_and_is_not_waited_for(planner):
    plan = searched(planner, [])
    target, guess, seeds = problem(0)
    inputs = target, Guess(guess.mean, None, guess.elites), seeds
    inputs = moved(inputs, "meta")
    plan(*inputs)  # what is the same for all plans is made on the CPU, once
    with NothingFromTheCPU():
        found = plan(*inputs)
    assert found.actions.shape == (2, 3, 2)


def test_only_cmaes_waits():
    with pytest.raises(NotImplementedError, match="no data"):
        searched(CMAES(8), [])(*moved(problem(0), "meta"))


@pytest.mark.parametrize(
    ("planner", "message"),
    [
        (CMAES(8), "CMA-ES can not be recorded"),
        (CEM(8, 2, budget_ms=5.0), "budget_ms=5.0 can not be recorded"),
        (Refine(CEM(8, 2), Gradient(budget_ms=2.0)), "budget_ms=2.0 can not be"),
        (Refine(CMAES(8), Gradient()), "CMA-ES can not be recorded"),
    ],
)
def test_what_can_not_be_recorded_is_named(planner, message):
    with pytest.raises(ValueError, match=message):
        require_recordable(planner)


@pytest.mark.parametrize(
    "planner",
    [one for one in PLANNERS if not isinstance(one, RandomShooting)],
    ids=lambda p: type(p).__name__,
)
def test_a_budget_is_all_that_keeps_the_others_from_being_recorded(planner):
    require_recordable(planner)
    with pytest.raises(ValueError, match="budget_ms=7.0 can not be recorded"):
        require_recordable(replace(planner, budget_ms=7.0))


def test_other_shapes_and_numbers_are_recorded_anew_and_the_oldest_is_dropped(
    monkeypatch,
):
    monkeypatch.setattr("planners.graphs.cuda_graph", record)
    calls = []

    def scaled(values: Tensor, factor: float, more: Tensor | None) -> Tensor:
        calls.append((len(values), factor, more is None))
        return values * factor if more is None else values * factor + more

    graphed = Graphed(scaled)
    ones = torch.ones(2)
    for factor in (2.0, 3.0, 2.0):
        assert graphed(ones, factor, None).tolist() == [factor, factor]
        assert graphed(ones, factor, ones).tolist() == [factor + 1, factor + 1]
    assert len(calls) == 4
    for count in range(3, 8):  # eight recordings are held
        graphed(torch.ones(count), 2.0, None)
    graphed(ones, 3.0, ones)
    assert len(calls) == 9
    graphed(ones, 2.0, None)
    assert len(calls) == 10


def test_types_are_recorded_for_themselves(monkeypatch):
    monkeypatch.setattr("planners.graphs.cuda_graph", record)
    graphed = Graphed(lambda values, factor: values * factor)
    whole, half = torch.ones(2, dtype=torch.int64), torch.ones(2)
    assert graphed(whole, 1).dtype == torch.int64
    assert graphed(whole, 1.0).dtype == torch.float32
    assert graphed(half, 1).dtype == torch.float32


def test_lists_are_refused(monkeypatch):
    monkeypatch.setattr("planners.graphs.cuda_graph", record)
    with pytest.raises(TypeError, match="tuples and dataclasses, got a list"):
        Graphed(lambda values: [values])(torch.ones(1))
    with pytest.raises(TypeError, match="tuples and dataclasses, got a dict"):
        Graphed(torch.neg)({"values": torch.ones(1)})


def test_a_result_stays_when_the_next_is_computed(monkeypatch):
    where_graphs_are_recorded(monkeypatch, "cpu")
    graphed = Graphed(lambda values: (values + 1, Guess(values)))
    values = torch.zeros(1, 1, 1)
    first, guess = graphed(values)
    graphed(values + 5)
    assert first.item() == 1
    assert guess.mean.item() == 0
    assert values.item() == 0


def test_without_a_gpu_there_is_a_clear_error():
    with pytest.raises(ValueError, match=r"on one GPU, got tensors on \[.cpu.\]"):
        Graphed(torch.neg)(torch.ones(1))

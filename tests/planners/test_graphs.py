from collections.abc import Callable

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
from planners.graphs import Graphed, tensors
from tests.recording import NothingFromTheCPU, instead_of_cuda, on_meta

PLANNERS = [
    RandomShooting(32),
    CEM(32, 4, 3, std=0.3, correlation=0.5),
    ICEM(32, 4, 3, kept=2),
    MPPI(32, 8, 3),
    Gradient(starts=6, iterations=3, rate=0.05),
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
    target, mean, std, elite = torch.rand((4, batch, 5, 2), generator=generator)
    guess = Guess(mean - 0.5, std, elite[:, None])
    return target - 0.5, guess, torch.arange(batch) + seed


@pytest.mark.parametrize("planner", PLANNERS, ids=lambda p: type(p).__name__)
def test_a_replayed_plan_is_bitwise_the_plan(planner, monkeypatch):
    instead_of_cuda(monkeypatch)
    calls: list[None] = []
    plan = searched(planner, calls)
    graphed = Graphed(plan)
    replayed = [graphed(*problem(seed)) for seed in range(3)]
    assert len(calls) == 1  # the others ran no Python
    for seed, found in enumerate(replayed):
        expected = plan(*problem(seed))
        assert found.evaluations == expected.evaluations
        for ours, theirs in zip(tensors(found), tensors(expected), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("planner", PLANNERS, ids=lambda p: type(p).__name__)
def test_a_plan_stays_on_its_device_and_is_not_waited_for(planner):
    plan = searched(planner, [])
    inputs = on_meta(problem(0))
    plan(*inputs)  # what is the same for all plans is made on the CPU, once
    with NothingFromTheCPU():
        found = plan(*inputs)
    assert found.actions.shape == (2, 5, 2)


def test_only_cmaes_waits():
    with pytest.raises(NotImplementedError, match="no data"):
        searched(CMAES(8), [])(*on_meta(problem(0)))


def test_other_shapes_and_numbers_are_recorded_anew_and_the_oldest_is_dropped(
    monkeypatch,
):
    instead_of_cuda(monkeypatch)
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


def test_a_result_stays_when_the_next_is_computed(monkeypatch):
    instead_of_cuda(monkeypatch)
    graphed = Graphed(lambda values: (values + 1, Guess(values)))
    values = torch.zeros(1, 1, 1)
    first, guess = graphed(values)
    graphed(values + 5)
    assert first.item() == 1
    assert guess.mean.item() == 0
    assert values.item() == 0


def test_without_a_gpu_there_is_a_clear_error():
    with pytest.raises(ValueError, match="on a GPU, got a tensor on cpu"):
        Graphed(torch.neg)(torch.ones(1))

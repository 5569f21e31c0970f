"""Planners against functions whose optimum is known in closed form."""

import pytest
import torch
from torch import Tensor

from planners import (
    CEM,
    CMAES,
    ICEM,
    MPPI,
    CostFn,
    Gradient,
    RandomShooting,
    Refine,
)

REFINERS = [
    CEM(samples=300, elites=30, iterations=20, min_std=0.0),
    MPPI(samples=300, elites=30, iterations=20, min_std=0.0),
    ICEM(300, 30, iterations=30, std=1.0, min_std=0.0, decay=1.0, colour=0.25),
    CMAES(samples=40, iterations=80),
    Gradient(starts=24, iterations=80, rate=0.05, std=1.0),
    Refine(CEM(200, 20, iterations=6), Gradient(starts=8, iterations=80, rate=0.03)),
]
every_refiner = pytest.mark.parametrize(
    "planner", REFINERS, ids=lambda planner: type(planner).__name__
)


@every_refiner
def test_the_known_minimum_of_a_quadratic_is_found(planner, squared_distance):
    target = torch.linspace(-0.9, 0.9, 2 * 5 * 3).view(2, 5, 3)
    plan = planner.plan(
        squared_distance(target), torch.zeros_like(target), torch.arange(2)
    )
    torch.testing.assert_close(plan.actions, target, atol=0.03, rtol=0)


# What each needs in 200 dimensions; a normal is not to collapse before it has moved.
WIDE = [
    CEM(samples=1000, elites=150, iterations=60, min_std=0.0),
    MPPI(1000, 150, iterations=60, min_std=0.0, std_momentum=0.3),
    ICEM(1000, 150, iterations=60, std=1.0, min_std=0.0, decay=1.0, colour=0.0),
    CMAES(samples=24, iterations=500),
    Gradient(starts=2, iterations=200, rate=0.05),
    Refine(CEM(200, 20, iterations=3), Gradient(starts=3, iterations=150, rate=0.05)),
]


@pytest.mark.parametrize("planner", WIDE, ids=lambda planner: type(planner).__name__)
@pytest.mark.parametrize(("horizon", "size"), [(5, 4), (25, 8)])
def test_bounded_quadratics_of_20_to_200_dimensions_are_solved(
    planner, horizon, size, squared_distance
):
    if isinstance(planner, CMAES) and horizon * size > 100:
        pytest.skip("its covariance of 200 x 200 takes minutes")
    generator = torch.Generator().manual_seed(horizon)
    target = torch.rand((1, horizon, size), generator=generator) * 3 - 1.5
    inside = target.clamp(-1, 1)  # a third of the bounds are active there
    cost = squared_distance(target)
    least, begin = cost(inside[:, None])[0, 0], cost(torch.zeros_like(target)[:, None])
    plan = planner.plan(cost, torch.zeros_like(target), torch.tensor([1]))
    assert plan.cost >= least * 0.99999
    assert plan.cost - least < 0.01 * (begin[0, 0] - least)


@pytest.mark.parametrize("planner", WIDE, ids=lambda planner: type(planner).__name__)
def test_a_rotated_quadratic_is_solved(planner):
    # 20 dimensions that depend on one another, the steepest a thousand times as steep.
    generator = torch.Generator().manual_seed(5)
    turn, _ = torch.linalg.qr(torch.randn((20, 20), generator=generator))
    steep = turn * torch.logspace(0, 1.5, 20)
    target = torch.rand((1, 5, 4), generator=generator) * 1.6 - 0.8

    def cost(actions: Tensor) -> Tensor:
        return ((actions - target).flatten(2) @ steep).square().sum(dim=2)

    begin = cost(torch.zeros_like(target)[:, None])[0, 0]
    plan = planner.plan(cost, torch.zeros_like(target), torch.tensor([1]))
    assert plan.cost < 0.01 * begin


@every_refiner
def test_a_minimum_outside_the_bounds_is_answered_with_the_nearest_inside(
    planner, squared_distance
):
    target = torch.tensor([2.0, -3.0, 0.5, 1.0]).view(1, 2, 2)
    plan = planner.plan(
        squared_distance(target), torch.zeros_like(target), torch.arange(1)
    )
    torch.testing.assert_close(plan.actions, target.clamp(-1, 1), atol=0.02, rtol=0)


@every_refiner
def test_the_deeper_of_two_valleys_is_found(planner):
    # Depths -1 at -0.6 and -0.7 at +0.6, in both dimensions of one step.
    def cost(actions: Tensor) -> Tensor:
        deep = torch.exp(-(((actions + 0.6) / 0.25) ** 2).sum(dim=(2, 3)))
        shallow = torch.exp(-(((actions - 0.6) / 0.25) ** 2).sum(dim=(2, 3)))
        return -deep - 0.7 * shallow

    plan = planner.plan(cost, torch.zeros(8, 1, 2), torch.arange(8))
    found = (plan.actions + 0.6).abs().amax(dim=(1, 2)) < 0.05
    assert found.all()


def test_random_shooting_nears_the_optimum_as_samples_grow(squared_distance):
    target = torch.full((30, 1, 2), 0.3)
    costs = [
        RandomShooting(samples)
        .plan(squared_distance(target), torch.zeros_like(target), torch.arange(30))
        .cost.mean()
        for samples in (10, 100, 1000)
    ]
    # In two dimensions the expected squared distance falls as 1 / samples.
    assert costs[1] < costs[0] / 4
    assert costs[2] < costs[1] / 4


def _double_integrator_cost(start: Tensor, rate: float = 0.2) -> CostFn:
    """Gives the LQR cost of accelerating masses from start (B, A, 2) to rest at 0."""

    def cost(actions: Tensor) -> Tensor:
        position, velocity = start[:, None, :, 0], start[:, None, :, 1]  # (B, 1, A)
        total = torch.zeros_like(actions[:, :, 0, 0])
        for step in range(actions.shape[2]):
            push = actions[:, :, step]  # (B, N, A)
            position = position + rate * velocity
            velocity = velocity + rate * push
            state_cost = position**2 + 0.1 * velocity**2
            total = total + (state_cost + 0.1 * push**2).sum(dim=-1)
        return total

    return cost


def _lqr_cost(start: Tensor, horizon: int, rate: float = 0.2) -> Tensor:
    """Gives the optimal cost (B,) by the backward Riccati recursion."""
    double = torch.float64
    drift = torch.tensor([[1.0, rate], [0.0, 1.0]], dtype=double)
    control = torch.tensor([[0.0], [rate]], dtype=double)
    state_cost = torch.diag(torch.tensor([1.0, 0.1], dtype=double))
    value = torch.zeros((2, 2), dtype=double)
    for _ in range(horizon):
        after = state_cost + value  # cost of the next state and of all that follow
        gain = (control.T @ after @ drift) / (0.1 + control.T @ after @ control)
        value = drift.T @ after @ (drift - control @ gain)
    state = start.to(double)
    return torch.einsum("bai,ij,baj->b", state, value, state)


@every_refiner
def test_plans_for_a_double_integrator_cost_what_lqr_costs(planner):
    start = torch.tensor([[[0.3, 0.0], [-0.2, 0.1]], [[-0.1, -0.2], [0.25, 0.1]]])
    plan = planner.plan(
        _double_integrator_cost(start), torch.zeros(2, 12, 2), torch.arange(2)
    )
    optimal = _lqr_cost(start, horizon=12).float()
    assert (plan.cost >= optimal * 0.9999).all()
    assert (plan.cost <= optimal * 1.01).all()

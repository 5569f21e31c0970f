"""Fakes shared by the planner tests."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planners import CostFn


def _squared_distance(target: Tensor) -> CostFn:
    """Gives a cost made of elementwise operations alone: sum of (a - target)^2."""

    def cost(actions: Tensor) -> Tensor:
        squares = (actions - target[:, None]) ** 2
        total = torch.zeros_like(squares[:, :, 0, 0])
        for step in range(squares.shape[2]):
            for dimension in range(squares.shape[3]):
                total = total + squares[:, :, step, dimension]
        return total

    return cost


@pytest.fixture
def squared_distance() -> Callable[[Tensor], CostFn]:
    return _squared_distance


def _recording(cost: CostFn, asked: list[Tensor]) -> CostFn:
    """Gives the cost, which keeps in a list what it is asked for."""

    def recorded(actions: Tensor) -> Tensor:
        asked.append(actions)
        return cost(actions)

    return recorded


@pytest.fixture
def recording() -> Callable[[CostFn, list[Tensor]], CostFn]:
    return _recording

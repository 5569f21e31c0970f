"""Gradient descent on the actions, through the model, from several starts."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from planners.checks import (
    require_budget,
    require_fraction,
    require_iterations,
    require_samples,
    require_std,
    require_types,
)
from planners.contract import CostFn, Guess, Plan, Std
from planners.noise import correlate
from planners.ranking import better, cheapest, checked
from planners.search import around, begin, within

_BETA, _BETA_SQUARE, _EPSILON = 0.9, 0.999, 1e-8  # Adam's usual ones


@dataclass(frozen=True)
class Gradient:
    """Descends with Adam from the guess, its elites and random starts around it.

    After each step the actions are put back into the bounds (projected gradient). A
    start whose cost or gradient is not finite stays where it is. The answer is the
    cheapest sequence ever evaluated, so it is never worse than the guess.

    The cost must be differentiable in the actions.

    Kingma & Ba, Adam, 2015.

    Attributes:
        starts: sequences per problem that descend side by side, the guess among them.
        iterations: gradient steps.
        rate: Adam's step size, in units of actions; each coordinate moves by about
            this much in an iteration.
        std: of the random starts around the guess, where it brings none; a number, or
            one for each action dimension.
        correlation: of the noise of neighbouring steps, in [0, 1).
        budget_ms: time after which no further iteration begins, or None; see `within`.
    """

    starts: int = 8
    iterations: int = 30
    rate: float = 0.1
    std: Std = 0.5
    correlation: float = 0.0
    budget_ms: float | None = None

    def __post_init__(self) -> None:
        require_types(self)
        require_samples("starts", self.starts, 1)
        require_iterations(self.iterations)
        require_std("rate", self.rate)
        require_std("std", self.std)
        require_fraction("correlation", self.correlation)
        require_budget(self.budget_ms)

    @property
    def room(self) -> int:
        """Candidates of the first iteration."""
        return self.starts

    @property
    def kept(self) -> int:
        """Elites that a plan hands on: none."""
        return 0

    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheapest sequence that was evaluated; see `Planner.plan`.

        Raises:
            ValueError: the cost is not differentiable in the actions.
        """
        search = begin(guess, seeds, self.std, self.room)
        where, record = search.where, search.record
        shape = partial(correlate, correlation=self.correlation)
        actions = around(where, search.seeds, 0, self.starts, shape, search.given)
        mean, square = torch.zeros_like(actions), torch.zeros_like(actions)
        for step in within(self.iterations, self.budget_ms, search.seeds.device):
            values, slope = _slope(cost, actions)
            scored = record.ask(lambda _, values=values: values, actions)
            record.note(cheapest(scored, self.starts))
            lost = scored.cost.isinf() | ~slope.flatten(2).isfinite().all(dim=2)
            lost = lost[:, :, None, None]
            slope = slope.masked_fill(lost, 0.0)
            # Adam by hand: torch's own first step takes a second, to import a compiler.
            mean = mean * _BETA + slope * (1.0 - _BETA)
            square = square * _BETA_SQUARE + slope * slope * (1.0 - _BETA_SQUARE)
            size = (square / (1.0 - _BETA_SQUARE ** (step + 1))).sqrt() + _EPSILON
            change = self.rate * (mean / (1.0 - _BETA ** (step + 1))) / size
            moved = (actions - change).clamp(-1.0, 1.0)
            actions = torch.where(lost, actions, moved)
        last = record.ask(lambda moved: _values(cost, moved)[1].detach(), actions)
        return record.answer(better(record.best, cheapest(last, 1)), where.std)


def _slope(cost: CostFn, actions: Tensor) -> tuple[Tensor, Tensor]:
    """The costs (B, N) of candidates (B, N, H, A), and their gradients."""
    moved, values = _values(cost, actions)
    slope = None
    if values.requires_grad:
        ones = torch.ones_like(values)
        (slope,) = torch.autograd.grad(values, moved, ones, allow_unused=True)
    if slope is None:
        raise ValueError(
            "Gradient needs a cost that is differentiable in the actions, got one "
            "without a gradient; take another planner, such as CEM"
        )
    return values.detach(), slope


def _values(cost: CostFn, actions: Tensor) -> tuple[Tensor, Tensor]:
    """A copy of the candidates, and their costs, which know how they came about.

    All costs of a descent are asked for like this: a cost may compute in another
    precision where no gradient is asked for, and the two would not compare.
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError(
            "Gradient can not plan in torch.inference_mode(), which knows no gradients "
            "at all; torch.no_grad() around it is fine"
        )
    with torch.enable_grad():
        moved = actions.detach().requires_grad_()
        return moved, checked(cost(moved), moved)

"""CMA-ES: adapt the whole covariance of the search, by the `cma` package."""

import math
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, lru_cache
from types import ModuleType

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from planners.checks import (
    require_budget,
    require_iterations,
    require_samples,
    require_std,
    require_types,
)
from planners.contract import CostFn, Guess, Plan, Std
from planners.noise import normal
from planners.ranking import better, cheapest
from planners.search import Normal, begin, within

_LEAST_STD = 1e-8  # `cma` needs it above 0


@cache
def cma_package() -> ModuleType:
    """`cma`, when it is first asked for: it takes as long to import as torch does."""
    with warnings.catch_warnings():
        # It warns where matplotlib is missing, which only its plots need.
        warnings.filterwarnings("ignore", "Could not import matplotlib", UserWarning)
        import cma
    return cma


@dataclass(frozen=True)
class CMAES:
    """Covariance matrix adaptation, one evolution per problem, costs side by side.

    The first iteration begins with the guess and its elites, in place of as many random
    candidates. The answer is the cheapest sequence ever evaluated, the last mean
    included. The bounds are those of `cma`: a smooth map of all space into them.

    The covariance has (H A)^2 numbers and lives in numpy on the CPU, so this planner
    waits for the device in every iteration. Nothing seeds numpy's global generator or
    draws from it.

    Hansen, The CMA Evolution Strategy: A Tutorial, 2016.

    Attributes:
        samples: candidates per problem and iteration, at least 4.
        iterations: at most; a problem whose evolution `cma` ends is evaluated further,
            but adapted no more.
        std: of the first iteration, where the guess brings none; a number, or one for
            each action dimension.
        budget_ms: time after which no further iteration begins, or None; see `within`.
    """

    samples: int = 64
    iterations: int = 30
    std: Std = 0.5
    budget_ms: float | None = None

    def __post_init__(self) -> None:
        require_types(self)
        require_samples("samples", self.samples, 4)
        require_iterations(self.iterations)
        require_std("std", self.std)
        require_budget(self.budget_ms)

    @property
    def room(self) -> int:
        """Candidates of the first iteration."""
        return self.samples

    @property
    def kept(self) -> int:
        """Elites that a plan hands on: none."""
        return 0

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheapest sequence that was evaluated; see `Planner.plan`."""
        start = begin(guess, seeds, self.std, self.room)
        where, given, record = start.where, start.given, start.record
        searches: list[_Evolution] = []
        for iteration in within(self.iterations, self.budget_ms, start.seeds.device):
            if not iteration:  # on the clock: setting up takes a millisecond each
                searches = self._evolutions(where, start.seeds)
            first = None if iteration else given.double().cpu().numpy()
            with _one_thread():
                asked = [
                    one.ask(None if first is None else first[place])
                    for place, one in enumerate(searches)
                ]
            scored = record.ask(cost, _stacked(asked, given))
            record.note(cheapest(scored, self.samples // 2))
            costs = scored.cost.double().cpu().numpy()
            with _one_thread():
                for one, actions, values in zip(searches, asked, costs, strict=True):
                    one.tell(actions, values)
        mean = _stacked([one.mean() for one in searches], given)
        last = record.ask(cost, mean[:, None])
        std = _stacked([one.std() for one in searches], given)
        return record.answer(better(record.best, last), std)

    def _evolutions(self, where: Normal, seeds: Tensor) -> list["_Evolution"]:
        each = zip(where.mean, where.std, seeds, strict=True)
        with _one_thread():
            return [_Evolution(Normal(m, s), seed, self.samples) for m, s, seed in each]


def _one_thread() -> AbstractContextManager[object]:
    """Keeps numpy's linear algebra to one thread, of the whole process, meanwhile.

    Matrices here are small, and its idle threads would go on spinning on the cores that
    the cost then computes on, which makes a plan two to six times as slow.
    """
    return _libraries().limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _stacked(arrays: list[np.ndarray], like: Tensor) -> Tensor:
    """Arrays (..., H, A) of B problems -> (B, ..., H, A), in float like the guess."""
    return torch.from_numpy(np.stack(arrays)).to(like)


class _Evolution:
    """The evolution of one problem's plan (H, A)."""

    def __init__(self, where: Normal, seed: Tensor, samples: int) -> None:
        self._shape = tuple(where.mean.shape)
        std = where.std.double().cpu().numpy().ravel().clip(min=_LEAST_STD)
        options = {
            "bounds": [-1.0, 1.0],
            "popsize": samples,
            "CMA_stds": std / std.max(),
            "seed": math.nan,  # leaves numpy's global generator alone
            "randn": _Noise(seed.cpu(), self._shape),
            "verbose": -9,
            "signals_filename": "",  # else it reads options from the working folder
        }
        start = where.mean.double().cpu().numpy().ravel()
        self._search = cma_package().CMAEvolutionStrategy(
            start, float(std.max()), options
        )

    def ask(self, first: np.ndarray | None) -> np.ndarray:
        """Gives candidates (N, H, A), some of them in place of the first ones."""
        asked = np.reshape(self._search.ask(), (-1, *self._shape))
        if first is not None:
            asked[: len(first)] = first
        return asked

    def tell(self, actions: np.ndarray, costs: np.ndarray) -> None:
        """Adapts to the costs (N,) of actions (N, H, A); +inf counts as the worst."""
        finite = np.isfinite(costs)
        # Those that are recombined must all have a finite cost.
        if finite.sum() < len(costs) // 2 or self._search.stop():
            return
        worst = costs[finite].max()
        ranked = np.where(finite, costs, worst + abs(worst) + 1.0)
        # Also the worst are learned from, so what was given must be a place.
        actions = np.where(np.isfinite(actions), actions, self.mean())
        self._search.tell(list(actions.reshape(len(actions), -1)), list(ranked))

    def mean(self) -> np.ndarray:
        """Gives the mean (H, A), inside the bounds."""
        search = self._search
        inside = search.boundary_handler.repair(search.mean)
        return np.reshape(inside, self._shape)

    def std(self) -> np.ndarray:
        """Gives the standard deviations (H, A)."""
        return np.reshape(self._search.stds, self._shape)


class _Noise:
    """Stands in for `numpy.random.randn`: each call is a use of the problem's seed."""

    def __init__(self, seed: Tensor, shape: tuple[int, ...]) -> None:
        self._seed, self._shape, self._calls = seed[None], shape, 0

    def __call__(self, rows: int, size: int) -> np.ndarray:
        horizon, action_size = self._shape
        noise = normal(self._seed, self._calls, range(rows), horizon, action_size)
        self._calls += 1
        return noise[0].double().reshape(rows, size).numpy()

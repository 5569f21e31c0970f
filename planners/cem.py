"""The cross-entropy method: refit a normal distribution to the cheapest candidates."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from planners.bounds import in_l1_ball
from planners.checks import (
    require_at_least,
    require_budget,
    require_elites,
    require_finite_at_least,
    require_fraction,
    require_in,
    require_iterations,
    require_kept,
    require_samples,
    require_std,
    require_types,
)
from planners.contract import CostFn, Guess, Plan, Std, require_work
from planners.noise import correlate
from planners.ranking import cheapest, finite_or, first, join
from planners.search import (
    Normal,
    Refit,
    around,
    begin,
    even_weights,
    with_mean,
    within,
)


@dataclass(frozen=True)
class CEM:
    """Refits mean and standard deviation to the elites, again and again.

    Every iteration asks for the cost of `samples` candidates, the first of them the
    mean; the first iteration begins with the guess and its elites. The answer is the
    cheapest candidate, so it is never worse than the guess; or the mean after the last
    refit, as in most published searches, which takes one more call, and only where its
    cost is not finite the cheapest. `next_guess.mean` is the answer.

    Rubinstein & Kroese, The Cross-Entropy Method, 2004. Published searches differ in
    `try_mean`, `ddof`, `l1_dims` and `answer`.

    Attributes:
        samples: candidates per problem and iteration.
        elites: cheapest candidates that the distribution is refitted to.
        iterations: number of refits.
        std: of the first iteration, where the guess brings none; a number, or one for
            each action dimension.
        min_std: lower bound of the standard deviation, so that the search stays awake.
        mean_momentum: share of the old mean kept in a refit, in [0, 1).
        std_momentum: share of the old std kept in a refit, in [0, 1).
        kept: elites that stay in the running in the next iteration, at their known
            cost, and in the next plan, re-evaluated.
        correlation: of the noise of neighbouring steps, in [0, 1).
        answer: "cheapest" or "mean".
        try_mean: whether the mean, and what else a guess brings, is among the
            candidates. Where it is not, a guess has no elites, and `kept` is 0.
        ddof: taken off the number of elites in their variance, 0 or 1 (unbiased).
        l1_dims: of each step, so many of the first action dimensions stay in the L1
            ball of radius 1, the others in their bounds alone; 0 for no ball.
        budget_ms: time after which no further iteration begins, or None; see `within`.
    """

    samples: int = 300
    elites: int = 30
    iterations: int = 10
    std: Std = 1.0
    min_std: float = 0.05
    mean_momentum: float = 0.1
    std_momentum: float = 0.1
    kept: int = 2
    correlation: float = 0.0
    answer: Literal["cheapest", "mean"] = "cheapest"
    try_mean: bool = True
    ddof: int = 0
    l1_dims: int = 0
    budget_ms: float | None = None

    def __post_init__(self) -> None:
        require_types(self)
        require_samples("samples", self.samples, 2)
        require_elites(self.elites, self.samples)
        require_iterations(self.iterations)
        require_std("std", self.std)
        require_finite_at_least("min_std", self.min_std, 0.0)
        require_fraction("mean_momentum", self.mean_momentum)
        require_fraction("std_momentum", self.std_momentum)
        require_kept(self.kept, self.elites, self.samples)
        require_fraction("correlation", self.correlation)
        if self.answer not in ("cheapest", "mean"):
            raise ValueError(
                f"answer must be 'cheapest' or 'mean', got {self.answer!r}"
            )
        if not self.try_mean and self.kept:
            raise ValueError(f"kept must be 0 where try_mean is false, got {self.kept}")
        require_in("ddof", self.ddof, 0, 1)
        require_at_least("l1_dims", self.l1_dims, 0)
        require_budget(self.budget_ms)

    @property
    def room(self) -> int:
        """Candidates of the first iteration that a guess can bring, its mean included.

        Where the mean is not tried, it is only where the search begins.
        """
        return self.samples if self.try_mean else 1

    @torch.no_grad()
    def plan(self, cost: CostFn, guess: Guess | Tensor, seeds: Tensor) -> Plan:
        """Gives the cheapest candidate, or the last mean; see `Planner.plan`."""
        if not self.try_mean:
            _require_no_elites(guess)
        search = begin(guess, seeds, self.std, self.room)
        require_work(self.samples, search.given.shape[2])
        bounded = partial(in_l1_ball, dims=self.l1_dims)
        where, given = search.where, bounded(search.given)
        where, record = Normal(given[:, 0], where.std), search.record
        refit = Refit(self.mean_momentum, self.std_momentum, self.min_std, self.ddof)
        shape = partial(correlate, correlation=self.correlation)
        kept = first(record.best, 0)
        for iteration in within(self.iterations, self.budget_ms, search.seeds.device):
            drawn = around(
                where,
                search.seeds,
                iteration,
                self.samples,
                shape,
                given if self.try_mean else None,
            )
            scored = record.ask(cost, bounded(drawn))
            elites = cheapest(join(kept, scored), self.elites)
            where = refit(where, elites, even_weights(elites))
            record.note(elites)
            given, kept = with_mean(where.mean), first(elites, self.kept)
        chosen = record.best
        if self.answer == "mean":
            chosen = finite_or(record.ask(cost, where.mean[:, None]), chosen)
        return record.answer(chosen, where.std, kept)


def _require_no_elites(guess: Guess | Tensor) -> None:
    elites = guess.elites if isinstance(guess, Guess) else None
    if elites is not None and elites.numel():
        raise ValueError(
            "guess.elites must be None where try_mean is false: what a guess brings is "
            f"not tried; got {tuple(elites.shape)}"
        )

"""Model-predictive control: plan, execute the first actions, shift, plan again."""

from dataclasses import dataclass

import torch
from torch import Tensor

from planners.contract import (
    CostFn,
    Guess,
    Plan,
    Planner,
    require_at_least,
    require_positive,
)
from planners.noise import fold


@dataclass(frozen=True, eq=False)
class MPCState:
    """What control remembers from one plan to the next.

    Attributes:
        guess: where the next search begins, already shifted in time.
        control_step: actions executed so far.
        seeds: (B,) int64, one per problem.
    """

    guess: Guess
    control_step: int
    seeds: Tensor


@dataclass(frozen=True)
class MPC:
    """Plans `horizon` steps, executes the first `execute`, and replans from there.

    The next search begins with the rest of this plan. The steps that come into view
    begin at zero, the action that changes nothing where actions are displacements.

    A search finds the candidate whose cost is most underestimated. At the goal, where
    nothing is left to gain, executing it undoes what was reached. So a plan must be
    cheaper than doing nothing, by `reluctance`.

    Attributes:
        planner: searches.
        horizon: steps H of a plan.
        execute: steps executed before replanning, in [1, horizon].
        warm_std: standard deviation of the searches after the first, or None for the
            planner's own. A plan's own final std is not carried on: it has shrunk to
            the problem as it stood.
        reluctance: least gain in cost, over doing nothing, for which a plan is
            executed; otherwise zeros are, and the plan waits. 0 executes every plan.
    """

    planner: Planner
    horizon: int
    execute: int = 1
    warm_std: float | None = None
    reluctance: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.execute <= self.horizon:
            raise ValueError(
                f"execute must be in [1, horizon={self.horizon}], got {self.execute}"
            )
        if self.warm_std is not None:
            require_positive("warm_std", self.warm_std)
        require_at_least("reluctance", self.reluctance, 0.0)

    def start(
        self, seeds: Tensor, action_size: int, dtype: torch.dtype = torch.float32
    ) -> MPCState:
        """Gives the state before the first plan: a guess of zeros.

        Args:
            seeds: (B,) int64, one per problem; plans live on their device.
            action_size: dimensions A.
            dtype: of the actions.
        """
        shape = (len(seeds), self.horizon, action_size)
        zeros = torch.zeros(shape, dtype=dtype, device=seeds.device)
        return MPCState(Guess(zeros), control_step=0, seeds=seeds)

    def step(self, cost: CostFn, state: MPCState) -> tuple[Tensor, Plan, MPCState]:
        """Gives the actions (B, execute, A) to execute now, their plan, the next state.

        Where the plan is invalid the actions are the rest of the last valid plan.
        """
        seeds = fold(state.seeds, state.control_step)
        plan = self.planner.plan(cost, state.guess, seeds)
        guess = shift(plan.next_guess, self.execute, self.warm_std)
        control_step = state.control_step + self.execute
        actions = plan.actions[:, : self.execute]
        if self.reluctance:
            waits = self._waits(cost, plan)
            actions = torch.where(waits[:, None, None], 0.0, actions)
            guess = _choose(waits, shift(plan.next_guess, 0, self.warm_std), guess)
        return actions, plan, MPCState(guess, control_step, state.seeds)

    @torch.no_grad()
    def _waits(self, cost: CostFn, plan: Plan) -> Tensor:
        """Bool (B,): whether a valid plan gains too little over doing nothing."""
        idle = cost(torch.zeros_like(plan.actions)[:, None])[:, 0]
        return (idle - plan.cost < self.reluctance) & ~plan.invalid


def shift(guess: Guess, steps: int, std: float | None = None) -> Guess:
    """Gives the guess `steps` later: the same actions, zeros at the end, a new std."""
    mean = _shifted(guess.mean, steps)
    return Guess(
        mean=mean,
        std=None if std is None else torch.full_like(mean, std),
        elites=None if guess.elites is None else _shifted(guess.elites, steps),
    )


def _shifted(actions: Tensor, steps: int) -> Tensor:
    later = actions[..., steps:, :]
    tail = torch.zeros_like(actions[..., :steps, :])
    return torch.cat([later, tail], dim=-2)


def _choose(first: Tensor, one: Guess, other: Guess) -> Guess:
    """One guess where `first` (B,) holds, the other elsewhere."""
    std, elites = None, None
    if one.std is not None and other.std is not None:
        std = torch.where(first[:, None, None], one.std, other.std)
    if one.elites is not None and other.elites is not None:
        elites = torch.where(first[:, None, None, None], one.elites, other.elites)
    mean = torch.where(first[:, None, None], one.mean, other.mean)
    return Guess(mean, std, elites)

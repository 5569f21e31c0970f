"""Model-predictive control: plan, execute the first actions, shift, plan again."""

from dataclasses import dataclass

import torch
from torch import Tensor

from planners.contract import CostFn, Guess, Plan, Planner, require_positive
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

    Attributes:
        planner: searches.
        horizon: steps H of a plan.
        execute: steps executed before replanning, in [1, horizon].
        warm_std: standard deviation of the searches after the first, or None for the
            planner's own. A plan's own final std is not carried on: it has shrunk to
            the problem as it stood.
    """

    planner: Planner
    horizon: int
    execute: int = 1
    warm_std: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.execute <= self.horizon:
            raise ValueError(
                f"execute must be in [1, horizon={self.horizon}], got {self.execute}"
            )
        if self.warm_std is not None:
            require_positive("warm_std", self.warm_std)

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
        return actions, plan, MPCState(guess, control_step, state.seeds)


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

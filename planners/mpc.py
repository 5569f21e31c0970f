"""Model-predictive control: plan, execute the first actions, shift, plan again."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from planners.checks import (
    MOST_HORIZON,
    require_at_least,
    require_finite_at_least,
    require_in,
    require_planner,
    require_std,
    require_types,
)
from planners.contract import CostFn, Guess, Plan, Planner, ProposeFn, require_work
from planners.noise import fold, normal
from planners.penalties import Penalties
from planners.ranking import checked

_PROPOSALS = 1  # use of a control step's seeds


@dataclass(frozen=True, eq=False)
class MPCState:
    """What control remembers from one plan to the next.

    Attributes:
        guess: where the next search begins, already shifted in time.
        control_step: actions executed so far.
        seeds: (B,) int64, one per problem.
        last: (B, A) the actions executed last, None before the first.
    """

    guess: Guess
    control_step: int
    seeds: Tensor
    last: Tensor | None = None


@dataclass(frozen=True)
class MPC:
    """Plans `horizon` steps, executes the first `execute`, and replans from there.

    The next search begins with the rest of this plan. The steps that come into view
    begin at zero, the action that changes nothing where actions are displacements.
    Where actions say where to be, it is told with each plan which action does nothing
    (`idle`): the first search begins there, and steps that come into view stay where
    the plan ends.

    A search finds the candidate whose cost is most underestimated. At the goal, where
    nothing is left to gain, executing it undoes what was reached. So a plan must be
    cheaper than doing nothing, by `min_improvement`.

    Attributes:
        planner: searches.
        horizon: steps H of a plan.
        execute: steps executed before replanning, in [1, horizon].
        warm_std: standard deviation of the searches after the first, or None for the
            planner's own. A plan's own final std is not carried on: it has shrunk to
            the problem as it stood.
        min_improvement: least gain in cost, over doing nothing, for which a plan is
            executed; otherwise nothing is done, and the plan waits. 0 executes every
            plan.
        proposals: candidates that are asked for from outside, where there is someone
            to ask; the first is what they would do, the others vary it.
        proposal_std: standard deviation of that variation, at each step.
        hold: steps that each action of a plan is held for: `horizon / hold` actions are
            searched for. Divides horizon and execute.
        penalties: what actions cost for themselves, added to every cost.
    """

    planner: Planner
    horizon: int
    execute: int = 1
    warm_std: float | None = None
    min_improvement: float = 0.0
    proposals: int = 16
    proposal_std: float = 0.1
    hold: int = 1
    penalties: Penalties = field(default_factory=Penalties)

    def __post_init__(self) -> None:
        require_planner("planner", self.planner)
        require_types(self)
        require_in("horizon", self.horizon, 1, MOST_HORIZON)
        if not 1 <= self.execute <= self.horizon:
            raise ValueError(
                f"execute must be in [1, horizon={self.horizon}], got {self.execute}"
            )
        if self.warm_std is not None:
            require_std("warm_std", self.warm_std)
        require_finite_at_least("min_improvement", self.min_improvement, 0.0)
        require_at_least("proposals", self.proposals, 0)
        require_finite_at_least("proposal_std", self.proposal_std, 0.0)
        require_at_least("hold", self.hold, 1)
        if self.horizon % self.hold or self.execute % self.hold:
            raise ValueError(
                f"hold must divide horizon={self.horizon} and execute={self.execute}, "
                f"got {self.hold}"
            )
        require_work(self.planner.room, self.horizon // self.hold)
        self.require_room(0)

    def require_room(self, proposals: int) -> None:
        """Raises ValueError if a search can not begin with so many proposals.

        Beside them it begins with the mean, the elites that it kept, and doing nothing.
        """
        known = 1 + self.planner.kept + (self.min_improvement > 0)
        room = self.planner.room
        if known > room:
            raise ValueError(
                f"the planner must begin with at least {known} candidates: the mean, "
                f"kept={self.planner.kept} elites and, with min_improvement above 0, "
                f"doing nothing; it begins with {room} (samples, or Gradient's starts; "
                "none are known with try_mean=false, which needs min_improvement=0)"
            )
        if known + proposals > room:
            raise ValueError(
                f"proposals must be at most {room - known}, so that they, the mean, "
                f"the kept elites and doing nothing are no more than the {room} "
                "candidates that the planner begins with (samples, or Gradient's "
                f"starts); got {proposals}"
            )

    def start(
        self, seeds: Tensor, action_size: int, dtype: torch.dtype = torch.float32
    ) -> MPCState:
        """Gives the state before the first plan: a guess of zeros.

        Args:
            seeds: (B,) int64, one per problem; plans live on their device.
            action_size: dimensions A.
            dtype: of the actions.

        Raises:
            ValueError: seeds are no tensor (B,), or action_size is below 1.
        """
        is_tensor = isinstance(seeds, Tensor) and seeds.dtype == torch.int64
        if not is_tensor or seeds.ndim != 1 or not len(seeds):
            raise ValueError(
                "seeds must be a torch.int64 tensor (B,), one per problem, such as "
                f"torch.tensor([0]), got {seeds!r}"
            )
        if isinstance(action_size, bool) or not isinstance(action_size, int):
            raise ValueError(f"action_size must be a whole number, got {action_size!r}")
        require_at_least("action_size", action_size, 1)
        shape = (len(seeds), self.horizon // self.hold, action_size)
        zeros = torch.zeros(shape, dtype=dtype, device=seeds.device)
        return MPCState(Guess(zeros), control_step=0, seeds=seeds)

    def step(
        self,
        cost: CostFn,
        state: MPCState,
        propose: ProposeFn | None = None,
        idle: Tensor | None = None,
    ) -> tuple[Tensor, Plan, MPCState]:
        """Gives the actions (B, execute, A) to execute now, their plan, the next state.

        Where the plan is invalid the actions are the rest of the last valid plan.

        Args:
            cost: of candidates.
            state: what `start` or the step before gave.
            propose: gives `proposals` candidates that the search begins with, beside
                those it remembers; None for none.
            idle: (B, A) the action that does nothing now; None for zeros.
        """
        seeds = self.seeds(state)
        actions, plan, guess = self.decide(
            cost, state.guess, seeds, state.last, propose, idle
        )
        return actions, plan, self.after(state, actions, guess)

    def seeds(self, state: MPCState) -> Tensor:
        """Gives the seeds (B,) of the next plan."""
        return fold(state.seeds, state.control_step)

    def after(self, state: MPCState, actions: Tensor, guess: Guess) -> MPCState:
        """Gives the state after what `decide` gave."""
        step = state.control_step + self.execute
        return MPCState(guess, step, state.seeds, actions[:, -1])

    def decide(
        self,
        cost: CostFn,
        begin: Guess,
        seeds: Tensor,
        last: Tensor | None,
        propose: ProposeFn | None = None,
        idle: Tensor | None = None,
    ) -> tuple[Tensor, Plan, Guess]:
        """As `step`, of tensors alone, so that it can be recorded (`Graphed`).

        Args:
            cost: of candidates.
            begin: the state's guess.
            seeds: of this plan; see `seeds`.
            last: (B, A) the actions executed last, None before the first.
            propose: see `step`.
            idle: see `step`.

        Returns:
            The actions (B, execute, A), their plan, and where the next plan begins.
        """
        cost = held(self.penalties.on(cost, last), self.hold)
        still = torch.zeros_like(begin.mean)
        if idle is not None:
            still = idle[:, None].expand_as(begin.mean).contiguous()
            begin = replace(begin, mean=still) if last is None else begin
        if propose is not None and self.proposals:
            self.require_room(self.proposals)
            begin = begin.beside(self._proposed(propose, seeds, begin.mean))
        if self.min_improvement:
            begin = begin.beside(still[:, None])
            cost = _Watched(cost)
        plan = self.planner.plan(cost, begin, seeds)
        searched = self.execute // self.hold
        stays = idle is not None
        guess = plan.next_guess.later(searched, self.warm_std, stays)
        actions = plan.actions[:, :searched]
        if isinstance(cost, _Watched):
            gains = cost.idle() - plan.cost
            waits = (gains < self.min_improvement) & ~plan.invalid
            actions = torch.where(waits[:, None, None], still[:, :searched], actions)
            guess = plan.next_guess.later(0, self.warm_std).where(waits, guess)
        return self.every_step(actions), plan, guess

    def every_step(self, actions: Tensor) -> Tensor:
        """Gives the actions (B, H, A) of a plan's (B, H / hold, A), each one held."""
        return actions.repeat_interleave(self.hold, dim=1)

    def _proposed(self, propose: ProposeFn, seeds: Tensor, like: Tensor) -> Tensor:
        """Proposals (B, E, H / hold, A): of each block that is held, the first."""
        batch, _, action_size = like.shape
        shape = like.new_empty((batch, self.horizon, action_size))
        return propose(self._variation(seeds, shape))[:, :, :: self.hold]

    def _variation(self, seeds: Tensor, like: Tensor) -> Tensor:
        """Noise (B, proposals, H, A): none for the first proposal."""
        shape = like.shape[1:]
        own = fold(seeds, _PROPOSALS)  # not the noise of the search
        noise = normal(own, 0, range(self.proposals), *shape).to(like.dtype)
        noise[:, 0] = 0.0
        return self.proposal_std * noise


class _Watched:
    """A cost that remembers what doing nothing costs.

    That is the first of the guess's elites, which planners ask for in their first call,
    after the mean.
    """

    def __init__(self, cost: CostFn) -> None:
        self._cost = cost
        self._idle: Tensor | None = None

    def __call__(self, actions: Tensor) -> Tensor:
        costs = checked(self._cost(actions), actions)
        if self._idle is None:
            if actions.shape[1] < 2:
                raise ValueError(
                    "with min_improvement above 0 a planner's first call must begin "
                    "with "
                    f"the guess's mean and its elites, got {actions.shape[1]} candidate"
                )
            self._idle = costs[:, 1].detach()
        return costs

    def idle(self) -> Tensor:
        """The cost (B,) of doing nothing."""
        assert self._idle is not None, "the planner has asked for no cost"
        return self._idle


def held(cost: CostFn, steps: int) -> CostFn:
    """Gives the cost of sequences (B, N, H, A) whose actions are held for `steps`."""
    if steps == 1:
        return cost
    return lambda actions: cost(actions.repeat_interleave(steps, dim=2))

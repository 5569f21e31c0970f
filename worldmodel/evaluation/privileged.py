"""Policies that read the simulator: the planner on true costs, and the expert."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from envs.experts import CLOSE, OPEN, Expert, PickPlaceExpert, PushExpert, ReachExpert
from envs.simulation import ACTION_NAMES, Quantities, Simulation
from envs.tasks import find_task
from planners.contract import CostFn, ProposeFn
from planners.mpc import MPC, MPCState
from worldmodel.evaluation.policy import Decision

_ACTION_SIZE = len(ACTION_NAMES)
_OPEN_M = 0.04

MakeCost = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], CostFn]
"""The cost from states (B, n), goals (B, n), goal images (B, height, width, 3) and the
states (B, n) that episodes began with."""
MakeProposals = Callable[[np.ndarray, np.ndarray], ProposeFn]
"""What proposes action sequences from states (B, n) to goals (B, n)."""


@dataclass
class SimulatorPolicy:
    """Plans with the true simulator; a ceiling, as it reads states and goals.

    Attributes:
        mpc: Planner, horizon and steps executed per plan.
        make_cost: e.g. `ShapedCost(...).cost`.
        action_size: Dimensions A of an action.
        make_proposals: Where each search begins, beside its own memory; or None.
    """

    looks = False

    mpc: MPC
    make_cost: MakeCost
    action_size: int
    make_proposals: MakeProposals | None = None
    _goal_images: np.ndarray = field(init=False, repr=False)
    _states: np.ndarray = field(init=False, repr=False)
    _goals: np.ndarray = field(init=False, repr=False)
    _starts: np.ndarray | None = field(default=None, init=False, repr=False)
    _mpc_state: MPCState = field(init=False, repr=False)
    _queue: Tensor = field(init=False, repr=False)

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        """Begins B episodes."""
        self._goal_images = goal_images
        self._starts = None
        self._mpc_state = self.mpc.start(torch.from_numpy(seeds), self.action_size)
        self._queue = torch.empty(len(seeds), 0, self.action_size)

    def see(self, states: np.ndarray, goals: np.ndarray) -> None:
        """Receives the true states and goals."""
        self._states, self._goals = states, goals
        if self._starts is None:
            self._starts = states.copy()

    def act(self, pixels: np.ndarray | None, proprio: np.ndarray) -> Decision:
        """Gives the next actions, planning whenever the last plan is used up."""
        if self._queue.shape[1]:
            decision = Decision.of_actions(self._queue[:, 0].numpy())
        else:
            assert self._starts is not None  # `see` comes before `act`
            cost = self.make_cost(
                self._states, self._goals, self._goal_images, self._starts
            )
            propose = None
            if self.make_proposals is not None:
                propose = self.make_proposals(self._states, self._goals)
            self._queue, plan, self._mpc_state = self.mpc.step(
                cost, self._mpc_state, propose
            )
            decision = Decision(
                actions=self._queue[:, 0].numpy(),
                cost=plan.cost.double().numpy(),
                invalid=plan.invalid.numpy(),
                evaluations=plan.evaluations,
            )
        self._queue = self._queue[:, 1:]
        return decision


@dataclass
class ExpertPolicy:
    """The scripted expert of a task, in closed loop.

    Attributes:
        task: Name of the task.
    """

    looks = False

    task: str
    _simulation: Simulation = field(default_factory=Simulation, repr=False)
    _experts: list[Expert] = field(default_factory=list, init=False, repr=False)
    _states: np.ndarray = field(init=False, repr=False)

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        """Forgets the experts of earlier episodes."""
        self._experts = []

    def see(self, states: np.ndarray, goals: np.ndarray) -> None:
        """Receives the true states and goals; makes the experts at the first call."""
        self._states = states
        if not self._experts:
            self._experts = [self._expert(self._quantities(goal)) for goal in goals]

    def act(self, pixels: np.ndarray | None, proprio: np.ndarray) -> Decision:
        """Gives the experts' actions, and rests where an expert is done."""
        actions = np.zeros((len(self._states), _ACTION_SIZE), dtype=np.float32)
        for row, (expert, state) in enumerate(
            zip(self._experts, self._states, strict=True)
        ):
            now = self._quantities(state)
            if not expert.is_done(now):
                actions[row] = np.clip(expert.act(now), -1.0, 1.0)
        return Decision.of_actions(actions)

    def _quantities(self, state: np.ndarray) -> Quantities:
        self._simulation.set_state(state)
        return self._simulation.quantities()

    def _expert(self, goal: Quantities) -> Expert:
        name = find_task(self.task).name
        if name == "Reach":
            latch = OPEN if goal.gripper_opening > _OPEN_M else CLOSE
            return ReachExpert(goal.gripper_pos_world, goal.gripper_yaw, latch)
        if name == "Push":
            return PushExpert(goal.cube_pos_world)
        return PickPlaceExpert(goal.cube_pos_world)

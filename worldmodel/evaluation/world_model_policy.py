"""Plans toward the goal image in a world model's latent space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from planners.contract import Guess, Plan
from planners.graphs import Graphed
from planners.mpc import MPC, MPCState
from worldmodel.action_spec import ActionSpec, require_same
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.planning_model import PlanningModel
from worldmodel.evaluation.policy import Decision

NO_PRIOR = "search=false needs a model with a policy prior, this one has none"

Idle = Callable[[np.ndarray], np.ndarray]
"""The actions (B, size) in [-1, 1] that do nothing now, of proprio (B, S)."""


@dataclass(frozen=True)
class _Memory:
    """What the policy remembers of B running episodes.

    Attributes:
        goal: (B, P, D) latents of the goal images.
        mpc: The planner's state.
        clip: uint8 (B, t, height, width, 3) the newest t <= tubelet frames.
        past: What the model remembers, up to the newest frame; None before the first.
        action: (B, A) the action that was decided last, None before the first.
        begun: Control steps of that action that have been given out.
        queue: (B, k, A) planned actions that are not executed yet.
        fresh: bool (B,) episodes that have another goal since the newest frame.
    """

    goal: Tensor
    mpc: MPCState
    clip: Tensor
    past: Any | None
    action: Tensor | None
    begun: int
    queue: Tensor
    fresh: Tensor


@dataclass
class WorldModelPolicy:
    """Encodes each new frame once, then plans on the last few latents.

    Where a model step is several control steps (`ActionSpec.block`), its actions are
    given out one by one, and the model sees the frame at the end of the last.

    Attributes:
        model: The world model; its device rules.
        mpc: Planner, horizon and steps executed per plan.
        env_spec: Meaning of the env's actions; must be that of the model's, but for
            the block: an env takes one control step at a time.
        device: Where frames are sent for encoding.
        cuda_graphs: Whether plans are recorded as CUDA graphs and replayed; the model
            must stay as it is then (see `Graphed`).
        idle: Which action does nothing. None: that of zeros, or, where actions say
            where to be, the one before.
        search: Whether actions are searched for; without, the policy prior acts.
    """

    model: PlanningModel
    mpc: MPC
    env_spec: ActionSpec
    device: torch.device | str = "cpu"
    cuda_graphs: bool = False
    idle: Idle | None = None
    search: bool = True
    _memory: _Memory | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        one = self.env_spec.block
        require_same(replace(self.model.action_spec, block=one), self.env_spec)
        # not a method: the cycle would keep recordings until garbage is collected
        decide = partial(_decide, self.model, self.mpc)
        self._decide = Graphed(decide) if self.cuda_graphs else decide

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        """Encodes the goals and forgets earlier episodes.

        Raises:
            WorldModelError: The goal images have the wrong size or type.
        """
        check_images("goal image", goal_images, self.model.height, self.model.width)
        images = torch.from_numpy(np.ascontiguousarray(goal_images)).to(self.device)
        goal = self.model.encode_newest(images[:, None])  # (B, P, D)
        batch, action_size = len(goal_images), self.model.action_spec.step_size
        self._memory = _Memory(
            goal=goal,
            mpc=self.mpc.start(torch.from_numpy(seeds).to(self.device), action_size),
            clip=images[:, None][:, :0],
            past=None,
            action=None,
            begun=0,
            queue=goal.new_zeros((batch, 0, action_size)),
            fresh=torch.zeros(batch, dtype=torch.bool, device=goal.device),
        )

    def set_goal(self, rows: np.ndarray, goal_images: np.ndarray) -> None:
        """Gives some of the episodes another goal, from the next step on.

        Args:
            rows: int (K,) places of the episodes in the batch.
            goal_images: uint8 (K, height, width, 3).

        Raises:
            WorldModelError: The goal images have the wrong size or type.
        """
        if self._memory is None:
            raise WorldModelError("start must be called before set_goal")
        check_images("goal image", goal_images, self.model.height, self.model.width)
        images = torch.from_numpy(np.ascontiguousarray(goal_images)).to(self.device)
        places = torch.from_numpy(rows).to(self.device)
        goal, fresh = self._memory.goal.clone(), self._memory.fresh.clone()
        goal[places] = self.model.encode_newest(images[:, None])
        fresh[places] = True
        self._memory = replace(self._memory, goal=goal, fresh=fresh)

    def took(self, actions: np.ndarray) -> None:
        """Tells the actions (B, size) that were taken, where not those decided."""
        if self._memory is None or self._memory.action is None:
            raise WorldModelError("act must be called before took")
        check_numbers("actions", actions, len(self._memory.action))
        taken = self._memory.action.clone()
        taken[:, self._part(self._memory.begun - 1)] = torch.from_numpy(actions).to(
            taken
        )
        self._memory = replace(self._memory, action=taken)

    @property
    def looks(self) -> bool:
        """Whether the next `act` looks at the frames: not within a model step."""
        memory = self._memory
        if memory is None or memory.action is None:
            return True
        return memory.begun >= self.model.action_spec.block

    def act(self, pixels: np.ndarray | None, proprio: np.ndarray) -> Decision:
        """Gives the next actions, planning whenever the last plan is used up."""
        if self._memory is None:
            raise WorldModelError("start must be called before act")
        memory, action = self._memory, self._memory.action
        if pixels is not None:
            check_images("frame", pixels, self.model.height, self.model.width)
        check_numbers(
            "proprio", proprio, len(memory.goal if pixels is None else pixels)
        )
        if action is not None and not self.looks:
            self._memory = replace(memory, begun=memory.begun + 1)
            return Decision.of_actions(
                action[:, self._part(memory.begun)].cpu().numpy()
            )
        if pixels is None:
            raise WorldModelError("frames are needed at the end of a model step")
        memory = self._see(memory, pixels, proprio)
        if not self.search:
            queue = self._at_once(memory, self._still(memory, proprio))
            memory = replace(memory, queue=queue)
        if memory.queue.shape[1]:
            first = memory.queue[:, 0, self._part(0)]
            decision = Decision.of_actions(first.cpu().numpy())
        else:
            decision, memory = self._plan(memory, self._still(memory, proprio))
        action, rest = memory.queue[:, 0], memory.queue[:, 1:]
        self._memory = replace(memory, action=action, begun=1, queue=rest)
        return decision

    def _part(self, step: int) -> slice:
        """Which dimensions of a model step's action are those of a control step."""
        size = self.model.action_spec.size
        return slice(step * size, (step + 1) * size)

    def _still(self, memory: _Memory, proprio: np.ndarray) -> Tensor | None:
        """The action (B, A) that does nothing now; None for zeros."""
        spec = self.model.action_spec
        if self.idle is not None:
            rows = torch.from_numpy(self.idle(proprio)).to(memory.goal).clamp(-1, 1)
        elif spec.absolute and memory.action is not None:
            rows = memory.action[:, self._part(spec.block - 1)]
        else:
            return None
        return rows.repeat(1, spec.block)

    def _see(self, memory: _Memory, pixels: np.ndarray, proprio: np.ndarray) -> _Memory:
        """Takes in one new frame."""
        frame = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
        clip = torch.cat([memory.clip, frame[:, None]], dim=1)
        clip = clip[:, -self.model.tubelet :]
        latent = self.model.encode_newest(clip)
        felt = None
        if proprio.shape[1]:
            felt = torch.from_numpy(np.ascontiguousarray(proprio)).to(latent)
        past = self.model.remember(memory.past, memory.action, latent, felt)
        if memory.fresh.any():
            past = self.model.begun(past, memory.fresh)
        fresh = torch.zeros_like(memory.fresh)
        return replace(memory, clip=clip, past=past, fresh=fresh)

    def _plan(self, memory: _Memory, still: Tensor | None) -> tuple[Decision, _Memory]:
        context = memory.past
        state = memory.mpc
        actions, plan, guess = self._decide(
            context,
            memory.goal,
            state.guess,
            self.mpc.seeds(state),
            (memory.action, still),  # what was done, not what was decided
        )
        decision = Decision(
            actions=actions[:, 0, self._part(0)].float().cpu().numpy(),
            cost=plan.cost.double().cpu().numpy(),
            invalid=plan.invalid.cpu().numpy(),
            evaluations=plan.evaluations,
            imagine=lambda: self._imagine(context, plan),
        )
        mpc = self.mpc.after(state, actions, guess)
        return decision, replace(memory, mpc=mpc, queue=actions)

    def _at_once(self, memory: _Memory, still: Tensor | None) -> Tensor:
        """The policy prior's action (B, 1, A), without a search; at the goal none."""
        prior = self.model.proposals(memory.past, memory.goal)
        if prior is None:
            raise WorldModelError(NO_PRIOR)
        batch, size = len(memory.goal), self.model.action_spec.step_size
        action = prior(memory.goal.new_zeros((batch, 1, 1, size)))[:, 0]
        idle = torch.zeros_like(action) if still is None else still[:, None]
        return torch.where(prior.arrived()[:, None, None], idle, action)

    @torch.no_grad()
    def _imagine(self, context: Any, plan: Plan) -> Tensor:
        """Gives the latents (B, H, P, D) that the model expects under a plan."""
        actions = self.mpc.every_step(plan.actions)
        return self.model.predict(context, actions[:, None])[:, 0]


def _decide(
    model: PlanningModel,
    mpc: MPC,
    past: Any,
    goal: Tensor,
    begin: Guess,
    seeds: Tensor,
    last_and_still: tuple[Tensor | None, Tensor | None],
) -> tuple[Tensor, Plan, Guess]:
    """Gives what `MPC.decide` gives, toward a goal: of its tensors nothing is kept."""
    cost, propose = model.goal_cost(past, goal), model.proposals(past, goal)
    last, still = last_and_still
    return mpc.decide(cost, begin, seeds, last, propose, still)


def check_numbers(name: str, rows: np.ndarray, batch: int) -> None:
    """Raises unless an array is finite floating point (B, size)."""
    is_rows = rows.dtype.kind == "f" and rows.ndim == 2 and len(rows) == batch
    if not is_rows:
        raise WorldModelError(
            f"{name} must be floating point (B={batch}, size), got {rows.dtype} "
            f"{rows.shape}"
        )
    finite = np.isfinite(rows)
    if not finite.all():
        place = tuple(int(n) for n in np.argwhere(~finite)[0])
        raise WorldModelError(f"{name} must be finite, got {rows[place]} at {place}")


def check_images(name: str, images: np.ndarray, height: int, width: int) -> None:
    """Raises unless images are uint8 (B, height, width, 3)."""
    wanted = (height, width, 3)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != wanted:
        raise WorldModelError(
            f"{name} must be uint8 {wanted} (height, width, 3) for this model, got "
            f"{images.dtype} {images.shape[1:]}"
        )

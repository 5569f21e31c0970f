"""V-JEPA 2-AC as a world model that planners ask: pictures, states, goals, costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from worldmodel.action_spec import ActionSpec
from worldmodel.costs.goal_cost import RolloutCost
from worldmodel.errors import WorldModelError
from worldmodel.inputs import (
    require_candidates,
    require_finite,
    require_goal,
    require_shape,
    require_tensor,
)
from worldmodel.predictors import pose
from worldmodel.predictors.patch_predictor import PatchPredictor, normalised

NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "dgripper")
RATE_HZ = 4.0  # of the frames that the published weights learned from
ACTION_SPEC = ActionSpec(
    names=NAMES,
    units=("m",) * 3 + ("rad",) * 3 + ("1",),
    scales=(1.0,) * 7,
    frames=("robot base",) * 6 + ("gripper",),
    rate_hz=RATE_HZ,
)
"""What the predictor's actions are: as they are, in metres, radians and closedness."""

SEARCHED = (0, 1, 2, 6)  # of an action's dimensions
ROTATIONS = 3  # that stay zero
ON_CPU = 4 * 258  # tokens imagined at once: of so many candidates at the true size
ON_GPU = 200 * 258


@dataclass(frozen=True)
class SearchSpace:
    """What a planner's four numbers in [-1, 1] stand for: dx, dy, dz and dgripper.

    Rotations are zero, as in the published search.

    Attributes:
        radius: of dx, dy, dz [m]: half the side of the box, or the radius of the L1
            ball, whichever the planner keeps to (`CEM.l1_dims`). 0.05 is the default of
            the published code; its notebook, and the paper, have 0.075.
        gripper: largest change of how far the gripper is closed, in (0, 1].
        dead_zone: smaller changes of the gripper are commanded as none.
        close_from: step from which on the gripper is told to close, None for never.
    """

    radius: float = 0.05
    gripper: float = 0.75
    dead_zone: float = 0.25
    close_from: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.radius < math.inf:
            raise WorldModelError(
                f"radius must be positive and finite [m], got {self.radius}"
            )
        if not 0 < self.gripper <= 1:
            raise WorldModelError(f"gripper must be in (0, 1], got {self.gripper}")
        if not 0 <= self.dead_zone <= 1:
            raise WorldModelError(f"dead_zone must be in [0, 1], got {self.dead_zone}")
        if self.close_from is not None and self.close_from < 0:
            raise WorldModelError(
                f"close_from must be at least 0, got {self.close_from}"
            )

    @property
    def std(self) -> tuple[float, ...]:
        """The published search's first standard deviations: radius, and 1 to close."""
        return (1.0, 1.0, 1.0, 1.0 / self.gripper)

    @property
    def spec(self) -> ActionSpec:
        """What the planner's actions mean."""
        return ActionSpec(
            names=tuple(NAMES[n] for n in SEARCHED),
            units=tuple(ACTION_SPEC.units[n] for n in SEARCHED),
            scales=(self.radius,) * 3 + (self.gripper,),
            frames=tuple(ACTION_SPEC.frames[n] for n in SEARCHED),
            rate_hz=RATE_HZ,
        )

    def actions(self, searched: Tensor) -> Tensor:
        """Gives the predictor's actions (..., H, 7) of a planner's (..., H, 4)."""
        moves = searched[..., :3] * self.radius
        closing = searched[..., 3:] * self.gripper
        if self.close_from is not None:
            steps = torch.arange(searched.shape[-2], device=searched.device)
            closing = closing.masked_fill((steps >= self.close_from)[:, None], 1.0)
        return torch.cat((moves, torch.zeros_like(moves), closing), dim=-1)

    def commands(self, searched: Tensor) -> Tensor:
        """Gives what a plan (..., H, 4) commands: `actions`, no small closing."""
        actions = self.actions(searched)
        closing = actions[..., 6:]
        closing = closing.masked_fill(closing.abs() < self.dead_zone, 0.0)
        return torch.cat((actions[..., :6], closing), dim=-1)


@dataclass(frozen=True, eq=False)
class VJEPA2AC:
    """V-JEPA 2-AC: a frozen encoder, its predictor, and costs for any planner.

    Assran et al. 2025. A frame is encoded alone, as a tubelet that stands still; tokens
    are normalised; states follow from actions by `worldmodel.predictors.pose`; a
    candidate costs the mean absolute difference of its last imagined frame's tokens and
    the goal's.

    Attributes:
        encoder: clips (B, 1, height, width, 3) uint8 -> tokens (B, P, D) of the frame,
            e.g. `FrozenEncoder.newest`.
        predictor: as `load_vjepa2_ac` gives it.
        space: what a planner searches.
        chunk: candidates of a problem imagined at once, which bounds memory; None for
            what suits the device.
    """

    encoder: Callable[[Tensor], Tensor]
    predictor: PatchPredictor
    space: SearchSpace = field(default_factory=SearchSpace)
    chunk: int | None = None

    def __post_init__(self) -> None:
        spec = self.predictor.spec
        sizes = (spec.action_size, spec.state_size)
        if sizes != (pose.SIZE, pose.SIZE):
            raise WorldModelError(
                "the predictor must have action_size and state_size 7, got "
                f"{sizes[0]} and {sizes[1]}"
            )
        if self.chunk is not None and self.chunk < 1:
            raise WorldModelError(f"chunk must be at least 1, got {self.chunk}")

    def planning_bytes(self, candidates: int, horizon: int, batch: int = 1) -> int:
        """About what imagining takes beside the weights, from one known frame each.

        Counted, not measured: keys and values of imagined frames, what a block works
        with, and the tokens that come out.

        Args:
            candidates: of a problem, of which `chunk` are imagined at once.
            horizon: steps H of a plan.
            batch: problems side by side, which are imagined one after the other.
        """
        spec = self.predictor.spec
        weight = self.predictor.predictor_embed.weight
        each, inner = spec.patches + spec.conditions, spec.heads * spec.head_dim
        at_once = min(candidates, self.chunk or _fitting(each, weight.device))
        kept = [5, *range(4, 2 * horizon, 2)][: horizon - 1]  # widths, after each step
        held = max(a + b for a, b in zip([0, *kept], [*kept, 0], strict=True))
        working = 4 * spec.width + max(11 * inner, 2 * spec.hidden)
        imagined = each * (held * inner * spec.depth + working) * weight.itemsize
        frame = spec.patches * spec.token_dim * 4  # float32
        return at_once * (imagined + frame * (3 + 2 * horizon * batch))

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Gives tokens (B, T, P, D) of frames (B, T, height, width, 3) uint8."""
        if frames.ndim != 5:
            raise WorldModelError(
                f"frames must be (B, T, height, width, 3), got {tuple(frames.shape)}"
            )
        batch, time = frames.shape[:2]
        tokens = normalised(self.encoder(frames.flatten(0, 1)[:, None]))
        spec = self.predictor.spec
        wanted = (batch * time, spec.patches, spec.token_dim)
        require_shape("the encoder's tokens", tokens, wanted, "(B T, P, D)")
        return tokens.unflatten(0, (batch, time))

    def goal_cost(
        self, tokens: Tensor, states: Tensor, goal: Tensor
    ) -> Callable[[Tensor], Tensor]:
        """Gives the cost of candidates (B, N, H, 4) in [-1, 1], (B, N).

        Args:
            tokens: (B, T, P, D) of the frames up to now; `encode`. T = 1 is the
                published way.
            states: (B, T, 7) of the robot at these frames; see `pose`.
            goal: (B, P, D) tokens of the goal picture.

        Raises:
            WorldModelError: a shape is wrong, a value is not finite, or past and plan
                are more frames than the predictor can see.
        """
        spec, batch = self.predictor.spec, len(tokens)
        imagine = self.rollout(tokens, states)
        require_goal(goal, (batch, spec.patches, spec.token_dim))

        def away(futures: Tensor) -> Tensor:
            return (futures[:, :, -1] - goal[:, None]).abs().mean((-2, -1))

        chunk = self.chunk or _fitting(spec.patches + spec.conditions, tokens.device)
        return RolloutCost(imagine, away, chunk * batch)

    def rollout(self, tokens: Tensor, states: Tensor) -> Callable[[Tensor], Tensor]:
        """Gives what maps candidates (B, N, H, 4) to tokens (B, N, H, P, D).

        Arguments and errors are those of `goal_cost`.
        """
        self._check(tokens, states)
        batch, past_actions = len(tokens), pose.between(states)

        def imagine(searched: Tensor) -> Tensor:
            require_candidates(searched, batch, len(SEARCHED))
            actions = self.space.actions(searched)
            planned = None
            if actions.shape[2] > 1:
                planned = pose.along(states[:, -1, None], actions[:, :, :-1])
            return self.predictor.rollout(
                tokens, past_actions, actions, states, planned
            )

        return imagine

    def _check(self, tokens: Tensor, states: Tensor) -> None:
        """Raises WorldModelError unless a plan can begin there; see `goal_cost`."""
        spec = self.predictor.spec
        require_tensor("tokens", tokens, "(B, T, P, D)")
        if tokens.ndim != 4:
            raise WorldModelError(
                f"tokens must be (B, T, P, D), got {tuple(tokens.shape)}"
            )
        batch, time = tokens.shape[:2]
        frame = (spec.patches, spec.token_dim)
        require_shape("tokens", tokens, (batch, time, *frame), "(B, T, P, D)")
        require_tensor("states", states, "(B, T, 7)")
        require_shape("states", states, (batch, time, pose.SIZE), "(B, T, 7)")
        require_finite("tokens", tokens)
        require_finite("states", states)
        self.predictor.require_frames(time)


def _fitting(tokens: int, device: torch.device) -> int:
    """How many candidates of so many tokens a frame are imagined at once."""
    at_once = ON_CPU if device.type == "cpu" else ON_GPU
    return max(1, at_once // tokens)

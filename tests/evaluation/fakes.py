"""A point on a plane, a camera that draws its position, a model that knows both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from planners import CEM, MPC, CostFn
from worldmodel.action_spec import ActionSpec
from worldmodel.evaluation.episode import Episode
from worldmodel.evaluation.problems import (
    Problem,
    ProblemSet,
    collect_problems,
    unsolved_problems,
)
from worldmodel.evaluation.protocol import Protocol
from worldmodel.evaluation.results import Method, Row
from worldmodel.evaluation.timing import Timing
from worldmodel.hardware import MatmulRate

SIDE = 8
STEP_M = 0.1
TOLERANCE_M = 0.05
BUDGET = 12
SPEC = ActionSpec(
    names=("dx", "dy"),
    units=("m", "m"),
    scales=(STEP_M, STEP_M),
    frames=("world", "world"),
    rate_hz=5.0,
)
# A pixel's three channels hold 0..255, two of them one coordinate in [-1, 1].
LEVELS = 256**2 - 1


def picture(position: np.ndarray) -> np.ndarray:
    """Draws a position (2,) in [-1, 1] into the first pixels of an image."""
    levels = np.round((np.clip(position, -1, 1) + 1) / 2 * LEVELS).astype(int)
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    for axis, level in enumerate(levels):
        image[0, axis, :2] = divmod(int(level), 256)
    return image


class PointEnv:
    """State (x, y, steps); an action moves the point by up to STEP_M."""

    def __init__(self) -> None:
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.metadata: dict[str, Any] = {"action_spec": SPEC.to_json()}
        self.state = np.zeros(3)
        self.goal = np.zeros(3)
        self.broken_at: int | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        assert options is not None
        self.state = np.array(options["state"])
        self.state[2] = 0
        self.goal = np.array(options["goal"])
        return self._observe(), self._info()

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        move = STEP_M * np.asarray(action, dtype=np.float64)
        self.state[:2] = np.clip(self.state[:2] + move, -1, 1)
        self.state[2] += 1
        info = self._info()
        truncated = bool(self.state[2] >= BUDGET)
        return self._observe(), -info["distance"], False, truncated, info

    def get_state(self) -> np.ndarray:
        return self.state.copy()

    def set_state(self, state: np.ndarray) -> None:
        self.state = np.array(state)

    def set_goal(self, goal: np.ndarray) -> None:
        self.goal = np.array(goal)

    def _observe(self) -> dict[str, np.ndarray]:
        proprio = self.state[:2].astype(np.float32)
        if self.broken_at == self.state[2]:
            proprio[1] = np.nan
        return {"pixels": picture(self.state[:2]), "proprio": proprio}

    def _info(self) -> dict[str, Any]:
        gap = float(np.linalg.norm(self.state[:2] - self.goal[:2]))
        return {
            "is_success": gap <= TOLERANCE_M,
            "distance": gap,
            "distances": {"point": gap},
        }


def point_problem(seed: int) -> Problem:
    start, goal = np.random.default_rng(seed).uniform(-0.9, 0.9, (2, 2))
    return Problem(
        task="Point",
        seed=seed,
        state=np.array([*start, 0.0]),
        goal=np.array([*goal, 0.0]),
        start_image=picture(start),
        goal_image=picture(goal),
    )


def is_close(problem: Problem) -> bool:
    gap = np.linalg.norm(problem.state[:2] - problem.goal[:2])
    return bool(gap <= TOLERANCE_M)


def point_problems(n: int, split: str = "validation") -> ProblemSet:
    made = unsolved_problems(split, n, point_problem, is_close)
    return collect_problems(made, split, "point-env")


CONTEXT_FRAMES = 3


@dataclass
class PointModel:
    """Its latent is the position, read from the picture; it knows how points move.

    Every operation is elementwise, so results do not depend on the batch.
    """

    height: int = SIDE
    width: int = SIDE
    tubelet: int = 2
    action_spec: ActionSpec = SPEC
    encoded_clips: list[tuple[int, ...]] = field(default_factory=list)
    contexts: list[tuple[Tensor, Tensor, Tensor | None]] = field(default_factory=list)
    has_habit: bool = False
    proposed: list[Tensor] = field(default_factory=list)
    begins: list[list[bool]] = field(default_factory=list)

    def encode_newest(self, clip: Tensor) -> Tensor:
        self.encoded_clips.append(tuple(clip.shape))
        return self.encode(clip)[:, -1]

    def encode(self, frames: Tensor) -> Tensor:
        pixels = frames[:, :, 0, :2, :2].double()  # (B, T, axis, byte)
        levels = pixels[..., 0] * 256 + pixels[..., 1]
        return (levels / LEVELS * 2 - 1)[:, :, None].float()  # (B, T, 1, 2)

    def remember(
        self,
        past: tuple[Tensor, Tensor, Tensor | None] | None,
        action: Tensor | None,
        latents: Tensor,
        proprio: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        assert proprio is not None
        seen, felt = latents[:, None], proprio[:, None]
        taken = latents.new_zeros((len(latents), 0, 2))
        if past is not None:
            assert action is not None
            assert past[2] is not None
            seen = torch.cat((past[0], seen), dim=1)[:, -CONTEXT_FRAMES:]
            felt = torch.cat((past[2], felt), dim=1)[:, -CONTEXT_FRAMES:]
            taken = torch.cat((past[1], action[:, None]), dim=1)
            taken = taken[:, -(seen.shape[1] - 1) :]
        self.contexts.append((seen, taken, felt))
        return self.contexts[-1]

    def begun(self, past: Any, rows: Tensor) -> Any:
        self.begins.append(rows.tolist())
        return past

    def predict(self, context: Any, actions: Tensor) -> Tensor:
        now = context[0][:, -1:, None]  # (B, 1, 1, P, D)
        steps = [STEP_M * actions[:, :, : h + 1] for h in range(actions.shape[2])]
        moved = [sum(part.unbind(2), torch.zeros(())) for part in steps]
        return now + torch.stack(moved, dim=2)[:, :, :, None]  # (B, N, H, P, D)

    def goal_cost(self, context: Any, goal: Tensor) -> CostFn:
        def cost(actions: Tensor) -> Tensor:
            gap = self.predict(context, actions) - goal[:, None, None]
            squares = gap[..., 0, 0] ** 2 + gap[..., 0, 1] ** 2  # (B, N, H)
            return sum(squares.unbind(2), torch.zeros(()))

        return cost

    def proposals(self, context: Any, goal: Tensor) -> StraightThere | None:
        if not self.has_habit:
            return None
        gap = goal[:, None] - context[0][:, -1:]  # (B, 1, P, D)
        return StraightThere(gap, self.proposed)


@dataclass(frozen=True)
class StraightThere:
    """Proposes to go there straight; it has arrived within half a step."""

    gap: Tensor
    proposed: list[Tensor]

    def __call__(self, noise: Tensor) -> Tensor:
        self.proposed.append(noise)
        straight = self.gap / (STEP_M * noise.shape[2])
        return (straight + noise).clamp(-1, 1)

    def arrived(self) -> Tensor:
        return self.gap.flatten(1).norm(dim=1) < STEP_M / 2


def point_mpc(execute: int = 1) -> MPC:
    planner = CEM(samples=32, elites=4, iterations=4)
    return MPC(planner, horizon=4, execute=execute)


TIMING = Timing(
    p50_ms=12.5,
    p99_ms=20.25,
    calls=98,
    matmul=MatmulRate(fp32_gflops=50.0, bf16_gflops=130.0),
    hardware="a test machine",
)


def episode(index: int, success: bool, task: str = "Point") -> Episode:
    end = 0.01 if success else 0.3
    return Episode(
        index=index,
        task=task,
        seed=10_000_000 + index,
        success=success,
        ever=success,
        steps_to_success=2 if success else None,
        distances=(0.4, 0.2, end),
        final={"point": end},
        closest={"point": end},
        costs=(0.5, None),
        invalid=0,
        evaluations=64,
        actions_hash="0123456789abcdef",
    )


def protocol(n: int, task: str = "Point", name: str = "standard") -> Protocol:
    return Protocol(name, task, "validation", n, budget=2, environment="point-env")


def row(
    outcomes: list[bool],
    name: str = "CEM",
    kind: str = "method",
    rules: Protocol | None = None,
    problems: str = "one set",
) -> Row:
    rules = rules or protocol(len(outcomes))
    return Row(
        protocol=rules,
        problems=problems,
        method=Method(name, kind, planner={"samples": 32}),
        timing=TIMING if kind == "method" else None,
        episodes=tuple(episode(i, o, rules.task) for i, o in enumerate(outcomes)),
    )

"""Milliseconds per action at one problem: encoding and planning, no physics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.environment import ProblemEnv
from worldmodel.evaluation.policy import Decision, Policy
from worldmodel.evaluation.problems import ProblemSet
from worldmodel.evaluation.runner import run
from worldmodel.evaluation.side_by_side import EnvPool
from worldmodel.evaluation.statistics import percentile
from worldmodel.hardware import MatmulRate, hardware, matmul_rate, synchronize

# The first calls pay for allocations, kernel selection, and recordings (`Graphed`) of a
# past that grows to the three frames that models look at.
_WARM_UP_CALLS = 3


@dataclass(frozen=True)
class Timing:
    """How long an action takes, and on what.

    Attributes:
        p50_ms: Median of the calls that planned [ms].
        p99_ms: 99th percentile of them [ms].
        calls: Number of calls measured.
        matmul: Matrix product rate measured just before and after, the mean.
        hardware: The machine in one line.
    """

    p50_ms: float
    p99_ms: float
    calls: int
    matmul: MatmulRate
    hardware: str


@dataclass
class TimedPolicy:
    """Passes everything on to a policy and keeps the time.

    Attributes:
        policy: What decides.
        device: Waited for before the clock stops.
        planned_ms: Time of each call that planned [ms].
        other_ms: Time of each call that did not [ms].
    """

    policy: Policy
    device: torch.device
    planned_ms: list[float] = field(default_factory=list)
    other_ms: list[float] = field(default_factory=list)

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        """Begins episodes, off the clock."""
        self.policy.start(goal_images, seeds)

    def act(self, pixels: np.ndarray, proprio: np.ndarray) -> Decision:
        """Gives the policy's decision, on the clock."""
        synchronize(self.device)
        began = time.perf_counter()
        decision = self.policy.act(pixels, proprio)
        synchronize(self.device)
        spent = (time.perf_counter() - began) * 1e3
        (self.planned_ms if decision.evaluations else self.other_ms).append(spent)
        return decision


def time_policy(
    policy: Policy,
    problems: ProblemSet,
    env: ProblemEnv | EnvPool,
    budget: int,
    device: torch.device | str = "cpu",
) -> Timing:
    """Measures a policy one problem at a time, in closed loop.

    With `execute` > 1 only the calls that plan are counted: they are what a robot
    waits for.

    Args:
        policy: Any policy that is not privileged.
        problems: A few problems to run.
        env: An environment of their task, or several.
        budget: Control steps per problem.
        device: Where the policy computes.
    """
    device = torch.device(device)
    timed = TimedPolicy(policy, device)
    before = matmul_rate(device)
    for _ in run(problems, problems.protocol("timing", budget), timed, env, group=1):
        pass
    after = matmul_rate(device)
    spent = (timed.planned_ms or timed.other_ms)[_WARM_UP_CALLS:]
    if not spent:
        raise WorldModelError(
            f"timing needs more than {_WARM_UP_CALLS} calls, got "
            f"{len(timed.planned_ms) + len(timed.other_ms)}; raise budget or problems"
        )
    return Timing(
        p50_ms=round(percentile(spent, 50), 3),
        p99_ms=round(percentile(spent, 99), 3),
        calls=len(spent),
        matmul=MatmulRate(
            fp32_gflops=round((before.fp32_gflops + after.fp32_gflops) / 2, 1),
            bf16_gflops=round((before.bf16_gflops + after.bf16_gflops) / 2, 1),
        ),
        hardware=hardware(device).describe(),
    )

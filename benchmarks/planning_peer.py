"""Planning with LeWorldModel's weights, beside stable-worldmodel's CEMSolver.

    tools/peers.sh
    .venv-peers/bin/python -m benchmarks.planning_peer --out runs/planning

One process, the same threads, the same weights, taking turns. First both say what 300
candidates cost; only if they agree to 1e-4 is anything timed. Then an iteration of 300
candidates over 5 steps, at one problem and at sixteen, the peer at its best batch size.
The peer computes in float32; it is measured in torch's bfloat16 autocast as well, which
its users would have to write around it. What of the peer is imported is its solver and
its model, not the data and environment packages that its top level needs.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import io
import json
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.models.lewm import LeWMPredictor, LeWMSpec
from benchmarks.models.packed_lewm import PackedLeWM
from benchmarks.planning_models import LEWM_SIZED, chunked
from planners import CEM
from planners.contract import CostFn
from worldmodel.hardware import hardware, matmul_rate
from worldmodel.inference.predictor import PredictorCopy
from worldmodel.predictors import ActionPredictor

SAMPLES, HORIZON, ACTION_SIZE, DIM, ELITES = 300, 5, 10, 192, 30
BLOCK = 5  # their actions side by side in a step
ITERATIONS = 3
ROUNDS = 5
TOLERANCE = 1e-4
AUTOCAST = "with autocast"


@dataclass(frozen=True)
class Problem:
    """B problems: latents and goals (B, 1, D)."""

    latents: Tensor
    goals: Tensor

    @property
    def batch(self) -> int:
        """Gives B."""
        return len(self.latents)


def main() -> None:
    """Checks, measures, prints and writes planning_peer.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/planning"))
    parser.add_argument("--threads", type=int, help="torch's; default all cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    theirs = peer_model()
    ours = LeWMPredictor.from_published(theirs.state_dict(), LeWMSpec())
    difference = cost_difference(theirs, ours, torch.float32)
    if difference > TOLERANCE:
        sys.exit(f"costs differ by {difference:.1e}, at most {TOLERANCE} is allowed")
    rounded = cost_difference(theirs, ours, torch.bfloat16)
    print(
        f"costs of {SAMPLES} candidates differ by {difference:.1e} in fp32, by "
        f"{rounded:.1e} in bf16 (relative, at most)"
    )
    before = matmul_rate()
    found = {str(b): measure(theirs, ours, problems(b)) for b in (1, 16)}
    after = matmul_rate()
    report = {
        "difference": difference,
        "difference_bf16": rounded,
        "hardware": hardware().describe(),
        "fp32_gflops": [before.fp32_gflops, after.fp32_gflops],
        "bf16_gflops": [before.bf16_gflops, after.bf16_gflops],
        "ms": found,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "planning_peer.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    show(report)


def problems(batch: int) -> Problem:
    """Gives problems with random latents and goals."""
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(batch, 1, DIM, generator=generator)
    return Problem(latents, torch.randn(batch, 1, DIM, generator=generator))


def cost_difference(theirs: Any, ours: LeWMPredictor, dtype: torch.dtype) -> float:
    """Gives the largest relative difference in cost from the peer's in float32."""
    problem = problems(2)
    generator = torch.Generator().manual_seed(4)
    shape = (2, SAMPLES, HORIZON, ACTION_SIZE)
    actions = torch.randn(shape, generator=generator)
    with torch.inference_mode():
        expected = theirs.get_cost(expanded(problem, SAMPLES), actions)
        found = lewm_cost(ours, problem, dtype)(actions)
    return float(((found - expected).abs() / expected.abs()).max())


def measure(theirs: Any, ours: LeWMPredictor, problem: Problem) -> dict[str, float]:
    """Gives milliseconds of an iteration and problem by who plans, taking turns."""
    own = {
        "ours, exact, fp32": lewm_cost(ours, problem, torch.float32),
        "ours, exact, bf16": lewm_cost(ours, problem, torch.bfloat16),
        "ours, own predictor, fp32": sized_cost(problem, torch.float32),
        "ours, own predictor, bf16": sized_cost(problem, torch.bfloat16),
    }
    calls = {name: planning(cost, problem) for name, cost in own.items()}
    for batch_size in (1, 4, 16) if problem.batch > 1 else (1,):
        solve = solving(theirs, problem, batch_size)
        calls[f"CEMSolver, batch {batch_size}"] = solve
        calls[f"{AUTOCAST}, batch {batch_size}"] = in_bfloat16(solve)
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            spent[name].append(time.perf_counter() - began)
    each = ITERATIONS * problem.batch
    return {name: 1e3 * float(np.median(took)) / each for name, took in spent.items()}


def planning(cost: CostFn, problem: Problem) -> Callable[[], object]:
    """Gives a call that plans with our CEM."""
    planner = CEM(
        SAMPLES, ELITES, ITERATIONS, mean_momentum=0.0, std_momentum=0.0, kept=0
    )
    guess = torch.zeros(problem.batch, HORIZON, ACTION_SIZE)
    seeds = torch.arange(problem.batch)
    return lambda: planner.plan(cost, guess, seeds)


def solving(theirs: Any, problem: Problem, batch_size: int) -> Callable[[], object]:
    """Gives a call that plans with their CEMSolver."""
    solver = _peer("stable_worldmodel.solver.cem").CEMSolver(
        theirs, batch_size, num_samples=SAMPLES, n_steps=ITERATIONS, topk=ELITES
    )
    space = gym.spaces.Box(-1.0, 1.0, (problem.batch, ACTION_SIZE // BLOCK))
    plan = types.SimpleNamespace(horizon=HORIZON, action_block=BLOCK)
    solver.configure(action_space=space, n_envs=problem.batch, config=plan)
    info = {k: v[:, 0] for k, v in expanded(problem, 1).items()}

    def solve() -> object:
        with contextlib.redirect_stdout(io.StringIO()):
            return solver.solve(dict(info))

    return solve


def in_bfloat16(solve: Callable[[], object]) -> Callable[[], object]:
    """Gives the call in torch's autocast, which the peer does not ask for itself."""

    def solve_so() -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return solve()

    return solve_so


def expanded(problem: Problem, samples: int) -> dict[str, Tensor]:
    """Gives what their model takes: everything (B, N, T, …), frames encoded already."""
    blank = torch.zeros(problem.batch, samples, 1, 3, 1, 1)
    each = (-1, samples, -1, -1)
    return {
        "pixels": blank,
        "goal": blank,
        "emb": problem.latents[:, None].expand(each),
        "goal_emb": problem.goals[:, None].expand(each),
    }


def lewm_cost(ours: LeWMPredictor, problem: Problem, dtype: torch.dtype) -> CostFn:
    """Gives the published cost by our packed predictor."""
    packed = PackedLeWM(ours, dtype)

    def cost(some: slice, actions: Tensor) -> Tensor:
        latents = problem.latents[some]
        past = latents.new_zeros(len(latents), 0, ACTION_SIZE)
        future = packed.rollout(latents, past, actions)
        return (future[:, :, -1] - problem.goals[some]).square().sum(-1)

    return chunked(cost, 600)


def sized_cost(problem: Problem, dtype: torch.dtype) -> CostFn:
    """Gives the same cost by our own predictor at the same size, cached."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        predictor = ActionPredictor(LEWM_SIZED).requires_grad_(False).eval()
    packed = PredictorCopy(predictor, dtype)

    def cost(some: slice, actions: Tensor) -> Tensor:
        latents = problem.latents[some]
        past = latents.new_zeros(len(latents), 0, ACTION_SIZE)
        history = packed.history(latents, past)
        future = packed.rollout(latents[:, -1], history, actions)
        return (future[:, :, -1] - problem.goals[some]).square().sum(-1)

    return chunked(cost, 600)


def peer_model() -> Any:
    """Gives their LeWorldModel at its published size, with random weights."""
    lewm = _peer("stable_worldmodel.wm.lewm.lewm")
    parts = _peer("stable_worldmodel.wm.lewm.module")
    torch.manual_seed(0)
    predictor = parts.Predictor(
        num_frames=3,
        depth=6,
        heads=16,
        mlp_dim=2048,
        input_dim=DIM,
        hidden_dim=DIM,
        output_dim=DIM,
        dim_head=64,
        dropout=0.1,
    )
    embedder = parts.Embedder(input_dim=ACTION_SIZE, emb_dim=DIM)
    projection = parts.MLP(DIM, 2048, DIM, norm_fn=nn.BatchNorm1d)
    made = lewm.LeWM(nn.Identity(), predictor, embedder, pred_proj=projection).eval()
    for name, weight in made.named_parameters():
        if "adaLN" in name:  # zero at the start of training: actions would do nothing
            nn.init.normal_(weight, std=0.05)
    return made.requires_grad_(False)


def _peer(name: str) -> Any:
    """Imports a module of theirs without what the packages above it would import."""
    _prepare_packages()
    return importlib.import_module(name)


@functools.cache
def _prepare_packages() -> None:
    root = importlib.util.find_spec("stable_worldmodel")
    if root is None or root.submodule_search_locations is None:
        sys.exit("stable-worldmodel is not installed here; run tools/peers.sh")
    folder = Path(root.submodule_search_locations[0])
    for package, place in (("", folder), (".wm", folder / "wm")):
        module = types.ModuleType(f"stable_worldmodel{package}")
        module.__path__ = [str(place)]
        sys.modules[module.__name__] = module


def show(report: dict[str, Any]) -> None:
    """Prints milliseconds, and how many times as fast as the peer's best of both."""
    print(report["hardware"])
    print(f"bf16 {report['bf16_gflops']}, fp32 {report['fp32_gflops']} GFLOP/s")
    for batch, times in report["ms"].items():
        best, helped = (
            min(ms for name, ms in times.items() if name.startswith(start))
            for start in ("CEMSolver", AUTOCAST)
        )
        for name, ms in times.items():
            print(
                f"B = {batch:>2s}  {name:28s} {ms:7.1f} ms  {best / ms:5.2f} x, "
                f"{helped / ms:5.2f} x {AUTOCAST}"
            )


if __name__ == "__main__":
    main()

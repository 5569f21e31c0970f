"""Gate (a'): the loop with perfect latents. What is left to fail without an encoder?

    python -m benchmarks.perfect_latents --data data/play --task Push --n 40

Predictor and temporal distance are learned from the true state of the recorded play
(12 numbers) instead of from pictures, and planned with on validation problems. What
fails here fails with any encoder. `--noise` adds what an encoder's error would.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from envs.simulation import ACTION_NAMES, Quantities
from planners import CEM
from planners.contract import CostFn
from planners.mpc import MPC
from worldmodel.costs import GoalCost
from worldmodel.data import FrameCache, LeRobotDataset
from worldmodel.distances import LearnedDistances, TemporalDistanceSpec
from worldmodel.evaluation.environment import environment_fingerprint, make_env
from worldmodel.evaluation.gates import quantities_of
from worldmodel.evaluation.privileged import SimulatorPolicy
from worldmodel.evaluation.problems import collect_problems, task_problems
from worldmodel.evaluation.runner import run
from worldmodel.evaluation.statistics import wilson_interval
from worldmodel.predictors import ActionPredictor, ActionPredictorSpec
from worldmodel.training.distance import DistanceRecipe, LatentEpisodes, train_distance
from worldmodel.training.loop import Job, Schedule, fit

SIDE = 32  # [px], nobody looks
LENGTH_M = 0.1  # positions are counted in units of it
WINDOW = 6  # moments that the predictor learns from at once
WINDOWS = 128  # per step
HUBER = 0.1  # in units of LENGTH_M: 1 cm


def perfect_latent(now: Quantities) -> list[float]:
    """The true state as a latent (12,)."""
    _, x, y, _ = now.cube_quat
    return [
        *(now.gripper_pos_world / LENGTH_M),
        math.sin(now.gripper_yaw),
        math.cos(now.gripper_yaw),
        now.gripper_opening / 0.04,
        *(now.cube_pos_world / LENGTH_M),
        math.sin(now.cube_yaw),
        math.cos(now.cube_yaw),
        1 - 2 * (x**2 + y**2),  # how upright the cube stands
    ]


POSITIONS = [0, 1, 2, 6, 7, 8]
SIZE = 12


def latents_of(states: np.ndarray) -> Tensor:
    """Latents (N, 12) of simulator states (N, n)."""
    rows = [perfect_latent(now) for now in quantities_of(states)]
    return torch.tensor(rows, dtype=torch.float32)


@dataclass(frozen=True)
class Play:
    """Recorded play: latents (N, 12), actions (N, A), and where episodes lie."""

    episodes: LatentEpisodes
    actions: Tensor


def read_play(path: str) -> Play:
    """The training split of a dataset, seen through its recorded states."""
    cache = FrameCache.open(LeRobotDataset.open(path))
    latents = latents_of(np.asarray(cache.sim_state))
    episodes = LatentEpisodes.of(latents, cache)
    return Play(episodes, torch.from_numpy(np.asarray(cache.actions)))


def train_predictor(play: Play, steps: int, seed: int) -> ActionPredictor:
    """Learns one-step predictions, and roll-outs in the second half of the steps."""
    torch.manual_seed(seed)
    spec = ActionPredictorSpec(latent_dim=SIZE, width=128)
    predictor = ActionPredictor(spec)
    generator = torch.Generator().manual_seed(seed)
    data = play.episodes
    begins = data.rows[data.last[data.rows] - data.rows >= WINDOW - 1]
    done = 0

    def loss() -> dict[str, Tensor]:
        nonlocal done
        done += 1
        drawn = begins[torch.randint(len(begins), (WINDOWS,), generator=generator)]
        rows = drawn[:, None] + torch.arange(WINDOW)
        latents, actions = data.latents[rows], play.actions[rows]
        after = latents[:, 1:]
        total = F.huber_loss(
            predictor(latents[:, :-1], actions[:, :-1]), after, delta=HUBER
        )
        if done > steps // 2:
            rolled = predictor.rollout(
                latents[:, :1], actions[:, :0], actions[:, None, :-1]
            )
            total = total + F.huber_loss(rolled[:, 0], after, delta=HUBER)
        return {"total": total / HUBER}

    schedule = Schedule(steps=steps, learning_rate=2e-3, weight_decay=0.01)
    fit(Job(predictor, loss, generator), schedule)
    return predictor


@dataclass
class PerfectLatentCost:
    """The planning cost on true states, imagined by the learned predictor."""

    predictor: ActionPredictor
    learned: LearnedDistances
    kind: GoalCost
    noise_cm: float
    generator: torch.Generator = field(default_factory=torch.Generator)

    def cost(
        self, states: np.ndarray, goals: np.ndarray, goal_images: np.ndarray
    ) -> CostFn:
        """The cost of sequences from true states (B, n) to goals (B, n)."""
        del goal_images
        now, goal = self._seen(states), self._seen(goals)

        @torch.no_grad()
        def evaluate(actions: Tensor) -> Tensor:
            future = self.predictor.rollout(now[:, None], actions[:, 0, :0], actions)
            cost = self.kind.along(future[..., None, :], goal[:, None], self.learned)
            return cost + self.kind.effort * actions.square().mean((-2, -1))

        return evaluate

    def _seen(self, states: np.ndarray) -> Tensor:
        latents = latents_of(states)
        error = torch.randn(len(latents), len(POSITIONS), generator=self.generator)
        latents[:, POSITIONS] += self.noise_cm / (100 * LENGTH_M) * error
        return latents


def main() -> None:
    """Prints one line: the success rate with its interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--task", default="Push")
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--noise", type=float, default=0.0, help="[cm] per axis")
    parser.add_argument("--predictor-steps", type=int, default=3000)
    parser.add_argument("--distance-steps", type=int, default=8000)
    parser.add_argument("--horizon", type=int, default=6)
    parser.add_argument("--path", type=float, default=0.3)
    parser.add_argument("--reluctance", type=float, default=0.02, help="see MPC")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    play = read_play(options.data)
    print(f"{len(play.episodes.latents)} moments of play", flush=True)
    predictor = train_predictor(play, options.predictor_steps, options.seed)
    recipe = DistanceRecipe(
        schedule=Schedule(steps=options.distance_steps),
        spec=TemporalDistanceSpec(latent_dim=SIZE, hidden=512),
        ahead=8,
        momentum=0.98,
        seed=options.seed,
    )
    distance = train_distance(recipe, play.episodes)
    env = make_env(options.task, SIDE, SIDE)
    made = task_problems(env, "validation", options.n)
    problems = collect_problems(made, "validation", environment_fingerprint(env))
    kind = GoalCost(latent=0.0, temporal=1.0, path=options.path)
    cost = PerfectLatentCost(predictor, LearnedDistances(distance), kind, options.noise)
    planner = CEM(samples=64, elites=8, iterations=3, std=0.6, correlation=0.5)
    mpc = MPC(planner, options.horizon, reluctance=options.reluctance)
    policy = SimulatorPolicy(mpc, cost.cost, len(ACTION_NAMES))
    rules = problems.protocol("perfect latents", env.budget)
    episodes = list(run(problems, rules, policy, env, group=options.n))
    solved = sum(episode.success for episode in episodes)
    low, high = wilson_interval(solved, len(episodes))
    ends = 100 * np.array([episode.final_distance for episode in episodes])
    print(
        f"{options.task}, perfect latents, noise {options.noise} cm: "
        f"{solved}/{len(episodes)} [{100 * low:.1f}, {100 * high:.1f}]%, ever "
        f"{sum(episode.ever for episode in episodes)}, end distance "
        f"{np.median(ends):.1f} cm (median), {np.percentile(ends, 75):.1f} (75%)"
    )


if __name__ == "__main__":
    main()

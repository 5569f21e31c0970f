"""Gate (a'): the loop with perfect latents. What is left to fail without an encoder?

    python -m benchmarks.perfect_latents --data data/play --task Push --n 40

Predictor, temporal distance and policy prior are learned from the true state of the
recorded play (12 numbers) instead of from pictures, and planned with on validation
problems. What fails here fails with any encoder. `--noise` adds what an encoder's error
would.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from envs.simulation import ACTION_NAMES, Quantities
from planners import CEM
from planners.contract import CostFn, ProposeFn
from planners.mpc import MPC
from worldmodel.costs.distances import LearnedDistances
from worldmodel.costs.goal_cost import GoalCost
from worldmodel.costs.goal_projection import GoalProjectionSpec
from worldmodel.data import FrameCache, LeRobotDataset
from worldmodel.evaluation.environment import environment_fingerprint, make_env
from worldmodel.evaluation.gates import quantities_of
from worldmodel.evaluation.privileged import SimulatorPolicy
from worldmodel.evaluation.problems import collect_problems, task_problems
from worldmodel.evaluation.runner import run
from worldmodel.evaluation.statistics import wilson_interval
from worldmodel.history import Context
from worldmodel.inference.predictor import PredictorCopy
from worldmodel.policy_prior import PolicyPrior, PriorProposals
from worldmodel.predictors import ActionPredictor
from worldmodel.training.distance import DistanceRecipe
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Schedule, Training
from worldmodel.training.planning import PlanningRecipe, train_planning
from worldmodel.training.policy_prior import PolicyPriorRecipe
from worldmodel.training.predictor import PredictorRecipe

SIDE = 32  # [px], nobody looks
LENGTH_M = 0.1  # positions are counted in units of it


def perfect_latent(now: Quantities) -> list[float]:
    """The true state as a latent (12,), the cube's place first."""
    _, x, y, _ = now.cube_quat
    return [
        *(now.cube_pos_world / LENGTH_M),
        *(now.gripper_pos_world / LENGTH_M),
        math.sin(now.gripper_yaw),
        math.cos(now.gripper_yaw),
        now.gripper_opening / 0.04,
        math.sin(now.cube_yaw),
        math.cos(now.cube_yaw),
        1 - 2 * (x**2 + y**2),  # how upright the cube stands
    ]


POSITIONS = slice(0, 6)
SIZE = 12
# The cube's place is the goal, and 1 cm from it is there.
LOOK = GoalProjectionSpec(SIZE, state_dim=SIZE, goal_dim=3)
NEAR = 0.1


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


@dataclass
class PerfectLatents:
    """Cost and proposals on true states, imagined by the learned predictor."""

    predictor: ActionPredictor
    policy_prior: PolicyPrior
    learned: LearnedDistances
    kind: GoalCost
    noise_cm: float
    generator: torch.Generator = field(default_factory=torch.Generator)

    def cost(
        self,
        states: np.ndarray,
        goals: np.ndarray,
        goal_images: np.ndarray,
        starts: np.ndarray,
    ) -> CostFn:
        """The cost of sequences from true states (B, n) to goals (B, n)."""
        del goal_images
        now, goal = self._seen(states), self._seen(goals)

        @torch.no_grad()
        def evaluate(actions: Tensor) -> Tensor:
            future = self.predictor.rollout(now[:, None], actions[:, 0, :0], actions)
            return self.kind.along(future[..., None, :], goal[:, None], self.learned)

        return evaluate

    def proposals(self, states: np.ndarray, goals: np.ndarray) -> ProposeFn:
        """What the policy prior would do from true states (B, n) to goals (B, n)."""
        now, goal = self._seen(states)[:, None, None], self._seen(goals)[:, None]
        context = Context(now, now.new_zeros(len(now), 0, len(ACTION_NAMES)))
        packed = PredictorCopy(self.predictor, torch.float32)
        return PriorProposals(self.policy_prior, packed, context, goal)

    def _seen(self, states: np.ndarray) -> Tensor:
        latents = latents_of(states)
        places = latents[:, POSITIONS]
        error = torch.randn(places.shape, generator=self.generator)
        places += self.noise_cm / (100 * LENGTH_M) * error
        return latents


def main() -> None:
    """Prints one line: the success rate with its interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--task", default="Push")
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--noise", type=float, default=0.0, help="[cm] per axis")
    parser.add_argument("--steps", type=int, default=8000, help="of training")
    parser.add_argument("--horizon", type=int, default=6)
    parser.add_argument("--path", type=float, default=0.3)
    parser.add_argument("--std", type=float, default=0.15, help="of the search")
    parser.add_argument("--min_improvement", type=float, default=0.02, help="see MPC")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    play = read_play(options.data)
    data = play.episodes
    print(f"{len(data.latents)} moments of play", flush=True)
    torch.manual_seed(options.seed)
    recipe = PlanningRecipe(
        Schedule(options.steps, learning_rate=1.5e-3),
        PredictorRecipe(window=6, width=128),
        DistanceRecipe(success_radius=NEAR),
        PolicyPriorRecipe(),
    )
    generator = torch.Generator().manual_seed(options.seed)
    training = Training(recipe.schedule, generator)
    parts = train_planning(recipe, data, play.actions, training, LOOK, torch.eye(SIZE))
    env = make_env(options.task, SIDE, SIDE)
    made = task_problems(env, "validation", options.n)
    problems = collect_problems(made, "validation", environment_fingerprint(env))
    kind = GoalCost(latent=0.0, temporal=1.0, running=options.path)
    perfect = PerfectLatents(
        parts.predictors[0],
        parts.policy_prior,
        LearnedDistances(parts.distance),
        kind,
        options.noise,
    )
    planner = CEM(samples=64, elites=8, iterations=3, std=options.std, correlation=0.5)
    mpc = MPC(planner, options.horizon, min_improvement=options.min_improvement)
    policy = SimulatorPolicy(mpc, perfect.cost, len(ACTION_NAMES), perfect.proposals)
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

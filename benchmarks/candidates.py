"""Which stage misleads the planner? Ranks candidates by true and by model costs.

    python -m benchmarks.candidates --model weights/reference --task Push

At moments of expert runs on validation seeds, candidates are rolled out in the true
simulator. Their order by the simulator's shaped cost is compared with their order by
the model's cost on the *encoded* true futures (what representation and distance lose)
and on the *imagined* ones (what the predictor loses beside that). A third of the
candidates are variations of what the expert did, the others smooth noise.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from envs.problems import make_start_and_goal
from envs.rollouts import SimulatorThreads
from envs.simulation import ACTION_NAMES
from envs.tabletop import TabletopEnv
from worldmodel.costs.goal_cost import single_costs
from worldmodel.evaluation.environment import make_env
from worldmodel.evaluation.gates import CandidateRanking, candidate_ranking
from worldmodel.evaluation.protocol import SPLIT_SEEDS
from worldmodel.evaluation.shaped_cost import task_shape
from worldmodel.evaluation.simulator_cost import ShapedCost
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

EXPERT_STEPS = (4, 8, 12)  # moments of the expert's run
AROUND_EXPERT = 0.3  # standard deviation of the noise there
NOISE, CORRELATION = 0.7, 0.7  # of the other candidates
FUTURES_AT_ONCE = 8  # bounds memory


@dataclass(frozen=True)
class Moment:
    """A state on the expert's way, and what is known there.

    Attributes:
        state: (n,) of the simulation.
        goal: (n,) of the simulation.
        frames: uint8 (T, height, width, 3) up to now.
        taken: (T - 1, A) the actions between them.
        goal_image: uint8 (height, width, 3).
        next_actions: (H, A) what the expert does next, zeros after its end.
    """

    state: np.ndarray
    goal: np.ndarray
    frames: np.ndarray
    taken: np.ndarray
    goal_image: np.ndarray
    next_actions: np.ndarray


def moments(
    env: TabletopEnv, problems: int, known: int, horizon: int
) -> Iterator[Moment]:
    """Moments of expert runs on the first validation seeds."""
    simulation = env.simulation
    for seed in SPLIT_SEEDS["validation"][:problems]:
        made = make_start_and_goal(simulation, env.task, seed)
        states = [made.start]
        simulation.set_state(made.start)
        for action in made.actions:
            simulation.step(action)
            states.append(simulation.get_state())
        for now in EXPERT_STEPS:
            if now >= len(made.actions):
                continue
            first = max(0, now + 1 - known)
            following = np.zeros((horizon, len(ACTION_NAMES)))
            rest = made.actions[now : now + horizon]
            following[: len(rest)] = rest
            yield Moment(
                states[now],
                made.goal,
                np.stack([env.render_goal(s) for s in states[first : now + 1]]),
                made.actions[first:now],
                env.render_goal(made.goal),
                following,
            )


def draw_candidates(
    following: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Candidates float32 (count, H, A) in [-1, 1]."""
    noise = rng.standard_normal((count, *following.shape))
    for step in range(1, len(following)):
        fresh = np.sqrt(1 - CORRELATION**2) * noise[:, step]
        noise[:, step] = CORRELATION * noise[:, step - 1] + fresh
    near = count // 3
    noise[:near] = following + AROUND_EXPERT * noise[:near]
    noise[near:] *= NOISE
    return np.clip(noise, -1.0, 1.0).astype(np.float32)


def true_costs(
    env: TabletopEnv, moment: Moment, candidates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shaped costs (N,), and rendered futures uint8 (N, H, height, width, 3)."""
    simulator = SimulatorThreads()
    states, goals = moment.state[None], moment.goal[None]
    futures = simulator.rollout(states, candidates[None].astype(np.float64))
    costs = ShapedCost(simulator, task_shape(env.task.name)).of_futures(futures, goals)
    images = [env.render_goal(state) for state in futures.reshape(-1, states.shape[1])]
    frames = np.stack(images).reshape(*futures.shape[1:3], *images[0].shape)
    return costs[0], frames


@torch.no_grad()
def model_costs(
    model: WorldModel, moment: Moment, candidates: np.ndarray, futures: np.ndarray
) -> dict[str, np.ndarray]:
    """Costs (N,) by name, on encoded and on imagined futures."""
    goal = model.encode(torch.from_numpy(moment.goal_image)[None, None])[:, -1]
    past = model.encode(torch.from_numpy(moment.frames)[None])
    context = model.context(past, torch.from_numpy(moment.taken)[None].float())
    actions = torch.from_numpy(candidates)[None]
    imagined = model.predict(context, actions)[0]  # (N, H, P, D)
    encoded = _encode_futures(model, moment.frames[-1], futures)
    costs = {}
    for name, kind in single_costs(model.distances).items():
        for stage, latents in (("encoded", encoded), ("imagined", imagined)):
            cost = kind.along(latents[None], goal, model.distances)
            costs[f"{name}, {stage}"] = cost[0].numpy()
    return costs


def _encode_futures(model: WorldModel, now: np.ndarray, futures: np.ndarray) -> Tensor:
    """Latents (N, H, P, D) of futures (N, H, ...), each frame with the one before."""
    first = np.broadcast_to(now, (len(futures), 1, *now.shape))
    frames = torch.from_numpy(np.concatenate([first, futures], axis=1))
    return torch.cat(
        [model.encode(some)[:, 1:] for some in frames.split(FUTURES_AT_ONCE)]
    )


def rank(model: WorldModel, task: str, options: argparse.Namespace) -> dict[str, str]:
    """One line per cost."""
    env = make_env(task)
    rng = np.random.default_rng(0)
    true: list[np.ndarray] = []
    found: dict[str, list[np.ndarray]] = {}
    places = moments(env, options.problems, model.context_frames, options.horizon)
    for moment in places:
        candidates = draw_candidates(moment.next_actions, options.candidates, rng)
        costs, futures = true_costs(env, moment, candidates)
        true.append(costs)
        for name, values in model_costs(model, moment, candidates, futures).items():
            found.setdefault(name, []).append(values)
    best = np.stack(true)
    return {
        name: _line(candidate_ranking(np.stack(values), best, options.elites))
        for name, values in found.items()
    }


def _line(ranking: CandidateRanking) -> str:
    return (
        f"rank correlation {ranking.correlation:.3f} (standard error "
        f"{ranking.standard_error:.3f}, {ranking.moments} moments), its elites stand "
        f"at {100 * ranking.elites:.0f}% of the true order (chance 50%)"
    )


def main() -> None:
    """Prints the rankings as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="reference")
    parser.add_argument("--task", default="Push")
    parser.add_argument("--problems", type=int, default=12)
    parser.add_argument("--candidates", type=int, default=48)
    parser.add_argument("--elites", type=int, default=4)
    parser.add_argument("--horizon", type=int, default=6)
    options = parser.parse_args()
    model = WorldModel.from_pretrained(find_weights(options.model))
    print(json.dumps(rank(model, options.task, options), indent=1))


if __name__ == "__main__":
    main()

"""How often the scripted experts and random actions solve the tasks.

    python -m benchmarks.experts --n 200

The expert: fresh random starts and goals, none of them sorted out, judged by the
task's tolerance against the goal it was given. Random actions: problems of the
training seeds under the evaluation's rules.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from envs.problems import draw_expert, run_expert
from envs.simulation import ACTION_NAMES, Simulation, random_start
from envs.tasks import TASKS, Task
from worldmodel.evaluation.environment import environment_fingerprint, make_env
from worldmodel.evaluation.policy import RandomPolicy
from worldmodel.evaluation.problems import collect_problems, task_problems
from worldmodel.evaluation.runner import run
from worldmodel.evaluation.statistics import wilson_interval

STREAM = 0xE59E  # keeps these draws apart from those of problems and play
SIDE = 32  # [px], nobody looks


def main() -> None:
    """Prints a row per task and policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="problems per task")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    options = parser.parse_args()
    simulation = Simulation()
    for name in options.tasks:
        task = TASKS[name]
        solved = [expert_solves(simulation, task, seed) for seed in range(options.n)]
        print(row(name, "expert", solved, "at least 97%"), flush=True)
        floor = random_outcomes(task, options.n)
        target = "below 5%" if name != "Reach" else "none"
        print(row(name, "random", floor, target), flush=True)


def expert_solves(simulation: Simulation, task: Task, seed: int) -> bool:
    """Whether the expert brings about the goal that it was given, in the budget."""
    rng = np.random.default_rng([seed, STREAM])
    random_start(simulation, rng)
    expert, intended = draw_expert(task.name, simulation.quantities(), rng)
    run_expert(simulation, expert, task.budget)
    end = simulation.quantities()
    moved = end.gripper_pos_world if task.main == "gripper" else end.cube_pos_world
    return bool(np.linalg.norm(moved - intended) <= task.tolerances[task.main])


def random_outcomes(task: Task, n: int) -> list[bool]:
    """Success of uniform actions on the first n problems of the training seeds."""
    env = make_env(task.name, SIDE, SIDE)
    made = task_problems(env, "train", n)
    problems = collect_problems(made, "train", environment_fingerprint(env))
    rules = problems.protocol("random floor", task.budget)
    policy = RandomPolicy(len(ACTION_NAMES))
    outcomes = [episode.success for episode in run(problems, rules, policy, env)]
    env.close()
    return outcomes


def row(task: str, policy: str, solved: list[bool], target: str) -> str:
    """A line with the rate, its Wilson 95% interval and the target."""
    low, high = wilson_interval(sum(solved), len(solved))
    failed = [seed for seed, success in enumerate(solved) if not success]
    named = f", failed seeds {failed}" if policy == "expert" and failed else ""
    return (
        f"{task} {policy}: {sum(solved)}/{len(solved)} = "
        f"{100 * sum(solved) / len(solved):.1f}% [{100 * low:.1f}, {100 * high:.1f}], "
        f"target {target}{named}"
    )


if __name__ == "__main__":
    sys.exit(main())

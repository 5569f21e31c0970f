"""Problems: a start, and a goal that a scripted expert reached from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.experts import CLOSE, OPEN, Expert, PickPlaceExpert, PushExpert, ReachExpert
from envs.scene import CUBE_HALF_SIDE_M
from envs.simulation import Quantities, Simulation, random_start
from envs.tasks import Task, find_task

GOAL_LOW_M = (0.38, -0.20)
GOAL_HIGH_M = (0.64, 0.20)
PUSH_RANGE_M = (0.08, 0.25)
_ATTEMPTS = 100


@dataclass(frozen=True)
class StartAndGoal:
    """A problem as the simulation sees it.

    Attributes:
        start: state vector at the start.
        goal: state vector at the end of the expert's run, arm included.
        actions: (T, 5) the expert's actions from start to goal.
    """

    start: np.ndarray
    goal: np.ndarray
    actions: np.ndarray


def make_start_and_goal(simulation: Simulation, task: Task, seed: int) -> StartAndGoal:
    """Makes one problem of `task`, a function of the seed alone.

    Draws starts and goals until the expert solves one that is unsolved at the
    start within the task's budget.

    Raises:
        RuntimeError: no attempt succeeded (the scene is changed beyond use).
    """
    rng = np.random.default_rng([seed, 7919])
    for _ in range(_ATTEMPTS):
        random_start(simulation, rng)
        start = simulation.get_state()
        begin = simulation.quantities()
        expert, intended = draw_expert(task.name, begin, rng)
        actions = run_expert(simulation, expert, task.budget)
        end = simulation.quantities()
        if _is_fair(task, begin, end, intended):
            simulation.steps = 0
            goal = simulation.get_state()
            simulation.set_state(start)
            return StartAndGoal(start, goal, actions)
    raise RuntimeError(
        f"no {task.name} problem in {_ATTEMPTS} attempts with seed {seed}"
    )


def run_expert(simulation: Simulation, expert: Expert, steps: int) -> np.ndarray:
    """Runs an expert until it is done or `steps` are over; its actions (T, 5)."""
    actions = []
    for _ in range(steps):
        action = expert.act(simulation.quantities())
        simulation.step(action)
        actions.append(action)
        if expert.is_done(simulation.quantities()):
            break
    return np.asarray(actions)


def goal_quantities(simulation: Simulation, goal: np.ndarray) -> Quantities:
    """The quantities of a goal state; the simulation is left as it was."""
    now = simulation.get_state()
    simulation.set_state(goal)
    quantities = simulation.quantities()
    simulation.set_state(now)
    return quantities


def draw_expert(
    name: str, now: Quantities, rng: np.random.Generator
) -> tuple[Expert, np.ndarray]:
    """An expert for a task with a random goal, and the intended position (3,)."""
    task = find_task(name)
    if task.name == "Reach":
        position = rng.uniform((0.37, -0.22, 0.03), (0.65, 0.22, 0.26))
        yaw = rng.uniform(-1.2, 1.2)
        latch = float(rng.choice([OPEN, CLOSE]))
        return ReachExpert(position, yaw, latch), position
    goal = np.array([*rng.uniform(GOAL_LOW_M, GOAL_HIGH_M), CUBE_HALF_SIDE_M])
    if task.name == "Push":
        goal[:2] = _push_goal(now.cube_pos_world[:2], rng)
        return PushExpert(goal), goal
    if rng.random() < 0.5:
        goal[2] = rng.uniform(0.07, 0.22)
    return PickPlaceExpert(goal), goal


def _push_goal(cube: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    while True:
        angle = rng.uniform(-np.pi, np.pi)
        distance = rng.uniform(*PUSH_RANGE_M)
        goal = cube + distance * np.array([np.cos(angle), np.sin(angle)])
        if (goal >= GOAL_LOW_M).all() and (goal <= GOAL_HIGH_M).all():
            return goal


def _is_fair(
    task: Task, begin: Quantities, end: Quantities, intended: np.ndarray
) -> bool:
    """Whether the expert got where it meant to, and the start was unsolved."""
    if task.is_success(task.distances(begin, end)):
        return False
    moved = float(np.linalg.norm(end.cube_pos_world - begin.cube_pos_world))
    if task.name == "Reach":
        arrived = np.linalg.norm(end.gripper_pos_world - intended) < 0.01
        return bool(arrived and moved < 0.01)
    reached = np.linalg.norm(end.cube_pos_world - intended) < 0.02
    if task.name == "Push":
        return bool(reached and PUSH_RANGE_M[0] <= moved <= PUSH_RANGE_M[1])
    return bool(reached and moved >= 0.05)

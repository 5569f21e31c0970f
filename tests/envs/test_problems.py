import numpy as np
import pytest

from envs.problems import PUSH_RANGE_M, draw_expert, make_start_and_goal, run_expert
from envs.simulation import Quantities, Simulation, random_start
from envs.tasks import TASKS, Task, find_task


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation()


def quantities(simulation: Simulation, state: np.ndarray) -> Quantities:
    simulation.set_state(state)
    return simulation.quantities()


@pytest.fixture(params=TASKS.values(), ids=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return request.param


def test_a_problem_is_a_function_of_its_seed(simulation, task):
    first = make_start_and_goal(simulation, task, 11)
    other = make_start_and_goal(simulation, task, 12)
    again = make_start_and_goal(Simulation(), task, 11)
    assert np.array_equal(first.start, again.start)
    assert np.array_equal(first.goal, again.goal)
    assert not np.array_equal(first.start, other.start)


def test_a_problem_starts_unsolved_and_its_goal_solves_it(simulation, task):
    for seed in range(2):
        problem = make_start_and_goal(simulation, task, seed)
        begin = quantities(simulation, problem.start)
        end = quantities(simulation, problem.goal)
        assert not task.is_success(task.distances(begin, end))
        assert task.is_success(task.distances(end, end))
        assert problem.start[-1] == problem.goal[-1] == 0  # steps taken
        assert len(problem.actions) <= task.budget


def test_the_goal_is_what_the_actions_lead_to_bit_for_bit(simulation, task):
    problem = make_start_and_goal(simulation, task, 4)
    assert np.array_equal(simulation.get_state(), problem.start)
    for action in problem.actions:
        simulation.step(action)
    simulation.steps = 0
    assert np.array_equal(simulation.get_state(), problem.goal)


def test_pushes_are_as_long_as_the_design_says(simulation):
    for seed in range(3):
        problem = make_start_and_goal(simulation, find_task("push"), seed)
        begin = quantities(simulation, problem.start).cube_pos_world
        end = quantities(simulation, problem.goal).cube_pos_world
        assert PUSH_RANGE_M[0] <= np.linalg.norm(end - begin) <= PUSH_RANGE_M[1]


@pytest.mark.parametrize("seed", range(3))
def test_the_expert_solves_fresh_draws(simulation, task, seed):
    rng = np.random.default_rng([seed, 1])
    random_start(simulation, rng)
    expert, intended = draw_expert(task.name, simulation.quantities(), rng)
    actions = run_expert(simulation, expert, task.budget)
    end = simulation.quantities()
    reached = end.gripper_pos_world if task.main == "gripper" else end.cube_pos_world
    assert np.linalg.norm(reached - intended) < task.tolerances[task.main]
    assert np.abs(actions[:, :4]).max() <= 1.0

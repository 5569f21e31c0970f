"""The evaluation on the real environments."""

import numpy as np
import pytest
import torch

from envs.rollouts import SimulatorThreads
from envs.simulation import Simulation
from envs.tabletop import TabletopEnv
from envs.tasks import TASKS
from planners import MPC, Gradient, RandomShooting
from worldmodel.evaluation.arena import TabletopArena
from worldmodel.evaluation.environment import (
    environment_fingerprint,
    gl_backend,
    make_env,
)
from worldmodel.evaluation.gates import quantities_of
from worldmodel.evaluation.policy import RandomPolicy
from worldmodel.evaluation.privileged import ExpertPolicy, SimulatorPolicy
from worldmodel.evaluation.problem_files import prepare_problems
from worldmodel.evaluation.problems import (
    ProblemSet,
    collect_problems,
    task_problems,
)
from worldmodel.evaluation.runner import run
from worldmodel.evaluation.shaped_cost import SHAPES, task_shape
from worldmodel.evaluation.simulator_cost import RenderedLatentCost, ShapedCost


@pytest.fixture(scope="module", params=sorted(TASKS))
def env(request):
    env = make_env(request.param, height=32, width=32)
    yield env
    env.close()


@pytest.fixture(scope="module")
def problems(env: TabletopEnv) -> ProblemSet:
    fingerprint = environment_fingerprint(env)
    made = task_problems(env, "validation", 2)
    return collect_problems(made, "validation", fingerprint)


@pytest.fixture
def state() -> np.ndarray:
    simulation = Simulation()
    simulation.place(np.array([0.5, 0.1, 0.1, 0.2]), False, np.array([0.5, 0.0]), 0.4)
    return simulation.get_state()


def test_the_expert_solves_the_problems_in_lockstep_and_random_actions_do_not(
    env, problems
):
    rules = problems.protocol("standard", 20)
    expert = list(run(problems, rules, ExpertPolicy(env.task.name), env))
    floor = list(run(problems, rules, RandomPolicy(5), env))
    assert all(episode.success for episode in expert)
    assert not any(episode.success for episode in floor)
    assert set(expert[0].final) == {"gripper", "cube"}


def test_problems_in_one_simulator_end_as_they_do_alone_bit_for_bit(env, problems):
    rules = problems.protocol("standard", 5)
    together = list(run(problems, rules, RandomPolicy(5), env, group=2))
    assert together == list(run(problems, rules, RandomPolicy(5), env, group=1))


def test_saved_problems_are_used_again_and_a_larger_set_begins_with_them(tmp_path):
    env = make_env("Reach", height=32, width=32)
    made = prepare_problems(TabletopArena(env), "test", 2, tmp_path)
    stamp = (tmp_path / "problems.npz").stat().st_mtime_ns
    again = prepare_problems(TabletopArena(env), "test", 1, tmp_path)
    assert again.fingerprint == made.head(1).fingerprint
    assert (tmp_path / "problems.npz").stat().st_mtime_ns == stamp
    larger = prepare_problems(TabletopArena(env), "test", 3, tmp_path)
    env.close()
    assert larger.head(2).fingerprint == made.fingerprint
    push = make_env("Push", height=32, width=32)
    with pytest.raises(ValueError, match="made in environment"):
        prepare_problems(TabletopArena(push), "test", 1, tmp_path)


def test_the_fingerprint_tells_environments_apart(env):
    same = make_env(env.task.name, height=32, width=32)
    larger = make_env(env.task.name, height=48, width=48)
    found = environment_fingerprint(env)
    assert environment_fingerprint(same) == found
    assert environment_fingerprint(larger) != found


def test_every_task_has_a_shaped_cost_that_is_lower_at_the_goal(env, problems):
    assert set(SHAPES) == set(TASKS)
    shape = task_shape(env.task.name)
    for start, goal in zip(problems.states, problems.goals, strict=True):
        now, then = quantities_of(np.stack([start, goal]))
        assert shape(then, then) < 0.03 < shape(now, then)


def test_planning_on_the_true_cost_comes_nearer_to_the_goal():
    env = make_env("Reach", height=32, width=32)
    made = collect_problems(task_problems(env, "validation", 1), "validation", "any")
    mpc = MPC(RandomShooting(samples=16), horizon=2, execute=2)
    cost = ShapedCost(SimulatorThreads(), task_shape("reach"))
    policy = SimulatorPolicy(mpc, cost.cost, action_size=5)
    (episode,) = run(made, made.protocol("ceiling", 8), policy, env)
    env.close()
    assert episode.final_distance < 0.5 * episode.start_distance


def test_the_simulator_has_no_gradient(state):
    cost = ShapedCost(SimulatorThreads(), task_shape("reach"))
    states = state[None]
    of_actions = cost.cost(states, states, np.zeros((1, 4, 4, 3)), states)
    with pytest.raises(ValueError, match="needs a cost that is differentiable"):
        Gradient(2).plan(of_actions, torch.zeros(1, 2, 5), torch.tensor([0]))


def test_the_latent_cost_on_rendered_futures_sees_the_last_frames(state):
    goal = np.full((1, 4, 4, 3), 7, dtype=np.uint8)

    def render(state: np.ndarray) -> np.ndarray:
        return np.full((4, 4, 3), int(state[-1]), dtype=np.uint8)  # steps taken

    def encode(frames: torch.Tensor) -> torch.Tensor:
        return frames.float().mean(dim=(2, 3, 4))[:, :, None, None]

    def distance(latents, goal, began):
        assert latents.shape == (1, 3, 2, 1, 1)
        assert began.shape == goal.shape == (1, 1, 1)
        return (latents - goal[:, None, None]).abs().sum(dim=(2, 3, 4))

    source = RenderedLatentCost(SimulatorThreads(), render, encode, distance, last=2)
    cost = source.cost(state[None], state[None], goal, state[None])
    # After steps 3 and 4 of a horizon of 4 the gaps from 7 are 4 and 3.
    assert cost(torch.zeros(1, 3, 4, 5)).tolist() == [[7.0, 7.0, 7.0]]


def test_the_backend_is_named_with_its_driver():
    assert "(" in gl_backend()

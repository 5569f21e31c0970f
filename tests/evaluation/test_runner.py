import dataclasses

import numpy as np
import pytest

from tests.evaluation.fakes import (
    BUDGET,
    SPEC,
    PointEnv,
    PointModel,
    point_mpc,
    point_problems,
)
from worldmodel.evaluation.policy import Decision, RandomPolicy
from worldmodel.evaluation.protocol import ProtocolMismatch
from worldmodel.evaluation.runner import run
from worldmodel.evaluation.world_model_policy import WorldModelPolicy


def world_model_policy(execute: int = 1) -> WorldModelPolicy:
    return WorldModelPolicy(PointModel(), point_mpc(execute), SPEC)


def episodes(policy, n=5, group=16, env=None, watch=None):
    problems = point_problems(n)
    rules = problems.protocol("standard", BUDGET)
    return list(run(problems, rules, policy, env or PointEnv(), group, watch))


class Scripted:
    """Plays the same actions in every problem."""

    def __init__(self, actions):
        self.actions, self.step, self.batch = actions, 0, 0

    def start(self, goal_images, seeds):
        self.step, self.batch = 0, len(seeds)

    def act(self, pixels, proprio):
        row = self.actions[self.step]
        self.step += 1
        return Decision.of_actions(np.repeat([row], self.batch, axis=0))


@pytest.mark.parametrize("policy", [world_model_policy(), RandomPolicy(2)])
def test_problems_side_by_side_end_as_they_do_alone_bit_for_bit(policy):
    together = episodes(policy, n=3, group=3)
    assert together == episodes(policy, n=3, group=2)
    assert together == episodes(policy, n=3, group=1)


def test_planning_in_the_model_reaches_the_goals_and_random_actions_do_not():
    planned = episodes(world_model_policy(), n=6)
    floor = episodes(RandomPolicy(2), n=6)
    assert all(episode.success for episode in planned)
    assert not any(episode.success for episode in floor)


def test_executing_several_steps_of_a_plan_reaches_the_goals_with_fewer_plans():
    often = episodes(world_model_policy(), n=3)
    rarely = episodes(world_model_policy(execute=3), n=3)
    assert all(episode.success for episode in rarely)
    assert [e.evaluations * 3 for e in rarely] == [e.evaluations for e in often]
    planned = [cost is not None for cost in rarely[0].costs]
    assert planned == [True, False, False] * (BUDGET // 3)


def test_success_is_judged_at_the_end_and_ever_stands_beside_it():
    problems = point_problems(1)
    goals, states = problems.goals.copy(), problems.states.copy()
    states[0, :2], goals[0, :2] = (0.0, 0.0), (0.2, 0.0)
    problems = dataclasses.replace(problems, states=states, goals=goals)
    through = [(1.0, 0.0)] * 4 + [(0.0, 0.0)] * (BUDGET - 4)
    rules = problems.protocol("standard", BUDGET)
    (episode,) = run(problems, rules, Scripted(through), PointEnv())
    assert (episode.success, episode.ever, episode.steps_to_success) == (False, True, 2)
    assert (episode.start_distance, episode.final_distance) == (0.2, 0.2)
    assert len(episode.distances) == BUDGET + 1
    assert episode.closest == {"point": 0.0}


def test_problems_of_another_protocol_are_refused():
    problems = point_problems(4)
    rules = dataclasses.replace(problems.protocol("standard", BUDGET), n=5)
    with pytest.raises(ProtocolMismatch, match="n 4, protocol 'standard' has 5"):
        next(run(problems, rules, RandomPolicy(2), PointEnv()))


def test_nan_in_an_observation_names_task_problem_and_step():
    env = PointEnv()
    env.broken_at = 3
    where = r"proprio has NaN or infinity at \[1\] in task Point, problem 0 \(seed 1000"
    with pytest.raises(ValueError, match=where + r"0000\), step 3"):
        episodes(RandomPolicy(2), env=env)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ((0.0, 1.5), r"in \[-1, 1\], got \[0.0, 1.5\] in task Point, problem 0"),
        ((0.0, np.nan), "must be finite"),
        ((0.0,), r"shape \(5, 2\), got \(5, 1\)"),
    ],
)
def test_an_action_outside_its_bounds_is_refused(action, message):
    with pytest.raises(ValueError, match=message):
        episodes(Scripted([action] * BUDGET))


def test_a_problem_that_is_solved_at_the_start_is_refused():
    problems = point_problems(2)
    problems = dataclasses.replace(problems, goals=problems.states)
    rules = problems.protocol("standard", BUDGET)
    with pytest.raises(ValueError, match="problem 0 .* is solved at the start"):
        next(run(problems, rules, RandomPolicy(2), PointEnv()))


def test_an_env_that_ends_before_the_budget_is_refused():
    problems = point_problems(1)
    rules = problems.protocol("standard", BUDGET + 1)
    with pytest.raises(ValueError, match="ended before the budget of 13 steps"):
        next(run(problems, rules, RandomPolicy(2), PointEnv()))


def test_a_goal_image_of_another_size_than_the_frames_is_refused():
    problems = point_problems(1)
    images = np.zeros((1, 16, 16, 3), dtype=np.uint8)
    problems = dataclasses.replace(problems, goal_images=images)
    rules = problems.protocol("standard", BUDGET)
    with pytest.raises(ValueError, match=r"uint8 \(16, 16, 3\) like the goal image"):
        next(run(problems, rules, RandomPolicy(2), PointEnv()))


def test_a_watcher_sees_every_moment_of_every_problem():
    moments = []
    episodes(world_model_policy(), n=3, group=2, watch=moments.append)
    steps = [(tuple(m.indices), m.step, m.decision is None) for m in moments]
    assert steps == [
        (indices, step, step == BUDGET)
        for indices in ((0, 1), (2,))
        for step in range(BUDGET + 1)
    ]
    assert moments[0].decision.imagine().shape == (2, 4, 1, 2)


def test_a_policy_that_reads_the_simulator_gets_the_true_states():
    class Peeking(Scripted):
        seen: list[np.ndarray]

        def see(self, states, goals):
            self.seen.append(states)

    policy = Peeking([(1.0, 0.0)] * BUDGET)
    policy.seen = []
    episodes(policy, n=2)
    assert len(policy.seen) == BUDGET
    np.testing.assert_array_equal(policy.seen[0], point_problems(2).states)
    assert (policy.seen[1][:, 2] == 1).all()


class SparingEnv(PointEnv):
    """Draws only where somebody looks, and counts it."""

    draws, drawn = True, 0

    def step(self, action):
        observation, *rest = super().step(action)
        if self.draws:
            self.drawn += 1
        else:
            del observation["pixels"]
        return observation, *rest


class Glance(RandomPolicy):
    """Random actions; looks at every second frame and keeps which were shown."""

    def start(self, goal_images, seeds):
        super().start(goal_images, seeds)
        self.shown = []

    @property
    def looks(self):
        return len(self.shown) % 2 == 0

    def act(self, pixels, proprio):
        self.shown.append(pixels is not None)
        return super().act(pixels, proprio)


def test_frames_that_nobody_looks_at_are_not_drawn():
    glance = Glance(2)
    for policy, drawn in ((RandomPolicy(2), 0), (glance, (BUDGET - 1) // 2)):
        env = SparingEnv()
        assert episodes(policy, n=1, env=env) == episodes(RandomPolicy(2), n=1)
        assert env.drawn == drawn
    assert glance.shown == [step % 2 == 0 for step in range(BUDGET)]
    seen = SparingEnv()
    moments = []
    episodes(RandomPolicy(2), n=1, env=seen, watch=moments.append)
    assert (seen.drawn, len(moments)) == (BUDGET, BUDGET + 1)
    assert all(moment.pixels is not None for moment in moments)
    planned = SparingEnv()
    assert episodes(world_model_policy(), n=1, env=planned)[0].success
    assert planned.drawn == BUDGET - 1

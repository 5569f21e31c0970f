"""The contract of every task's environment."""

from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.camera import Camera
from envs.simulation import PROPRIO_SIZE, Simulation, random_start
from envs.tabletop import TabletopEnv
from envs.tasks import TASKS
from envs.variation import SceneOptions

SIDE = 32
INFO = {
    *("is_success", "distance", "distances", "gripper_pos_world", "gripper_yaw"),
    *("gripper_opening", "cube_pos_world", "cube_quat", "cube_yaw"),
}


@pytest.fixture(scope="module", params=sorted(TASKS))
def env(request: pytest.FixtureRequest) -> Iterator[TabletopEnv]:
    made = TabletopEnv(request.param, SIDE, SIDE, render_mode="rgb_array")
    yield made
    made.close()


def actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 5)).astype(np.float32)


def run(env: TabletopEnv, plan: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Pixels, proprio, state and distance after each action."""
    seen = []
    for action in plan:
        observation, reward, *_ = env.step(action)
        pixels, proprio = observation["pixels"], observation["proprio"]
        seen.append((pixels, proprio, env.get_state(), np.array(reward)))
    return seen


def same(first: list[tuple[np.ndarray, ...]], second: list) -> bool:
    pairs = zip(first, second, strict=True)
    return all(
        np.array_equal(a, b)
        for one, other in pairs
        for a, b in zip(one, other, strict=True)
    )


# Proprioception has no natural bounds: angles and rates of joints.
@pytest.mark.filterwarnings("ignore:.*Box observation space m..imum value is")
# The checker asks for `gym.make`, which wraps; we check the bare class.
@pytest.mark.filterwarnings("ignore:.*no spec set, the checker cannot compare")
def test_gymnasium_finds_no_fault(env):
    check_env(env, skip_render_check=True)


def test_tasks_are_registered_and_can_be_made_by_name():
    for name in TASKS:
        spec = gym.spec(f"worldmodel/{name}-v0")
        assert spec.kwargs == {"task": name}
    made = gym.make("worldmodel/Push-v0", height=SIDE, width=24)
    assert made.observation_space["pixels"].shape == (SIDE, 24, 3)  # type: ignore[index]
    made.close()


def test_replay_from_a_seed_is_bit_identical(env):
    plan = actions(4)
    first, _ = env.reset(seed=5)
    goal, seen = env.render_goal(), run(env, plan)
    other, _ = env.reset(seed=6)
    again, _ = env.reset(seed=5)
    assert np.array_equal(first["pixels"], again["pixels"])
    assert not np.array_equal(first["pixels"], other["pixels"])
    assert np.array_equal(goal, env.render_goal())
    assert same(seen, run(env, plan))


def test_replay_from_a_state_is_bit_identical_also_in_another_env(env):
    env.reset(seed=1)
    run(env, actions(3))
    state, plan = env.get_state(), actions(4, seed=1)
    seen = run(env, plan)
    env.set_state(state)
    assert np.array_equal(env.get_state(), state)
    assert same(seen, run(env, plan))
    other = TabletopEnv(env.task.name, SIDE, SIDE)
    other.reset(seed=2)
    other.set_goal(env.get_state())
    env.set_goal(env.get_state())
    for each in (env, other):
        each.set_state(state)
    assert same(run(env, plan), run(other, plan))
    other.close()


def test_a_saved_problem_is_restored_by_reset(env):
    env.reset(seed=3)
    start, goal_image = env.get_state(), env.render_goal()
    env.step(actions(1)[0])
    goal = env.get_state()
    env.reset(seed=9, options={"state": start, "goal": goal})
    assert np.array_equal(env.get_state(), start)
    assert not np.array_equal(env.render_goal(), goal_image)
    env.set_state(goal)
    assert env.info()["is_success"]
    assert env.info()["distance"] == 0.0


def test_what_reset_is_not_given_it_draws_from_the_seed(env):
    env.reset(seed=3)
    start, goal_image = env.get_state(), env.render_goal()
    env.reset(seed=4)
    other = env.get_state()
    env.reset(seed=3, options={"state": other})
    assert np.array_equal(env.get_state(), other)
    assert np.array_equal(env.render_goal(), goal_image)
    env.reset(seed=3, options={"goal": other})
    assert np.array_equal(env.get_state(), start)
    env.set_state(other)
    assert env.info()["distance"] == 0.0


def test_the_goal_image_is_the_rendering_of_the_goal_state(env):
    env.reset(seed=0)
    seen = run(env, actions(2))[-1][0]
    goal = env.get_state()
    env.reset(seed=1)
    state, image = env.get_state(), env.render_goal(goal)
    assert np.array_equal(env.get_state(), state)
    env.set_state(goal)
    assert np.array_equal(env.observe()["pixels"], image)
    # A step ends with the kinematics of its last 4 ms; a restored state with its own.
    assert np.abs(image.astype(int) - seen).mean() < 1


def test_a_step_reports_what_the_design_says(env):
    _, info = env.reset(seed=2)
    assert set(info) == INFO
    assert not info["is_success"]
    observation, reward, terminated, truncated, info = env.step(actions(1)[0])
    assert set(info) == INFO
    assert reward == -info["distance"] == -info["distances"][env.task.main]
    assert isinstance(info["is_success"], bool)
    assert (terminated, truncated) == (False, False)
    assert env.observation_space.contains(observation)
    assert np.array_equal(env.render(), observation["pixels"])


def test_an_episode_is_truncated_at_the_budget_and_never_terminated(env):
    env.reset(seed=2)
    state = env.get_state()
    state[-1] = env.budget - 2  # steps taken
    env.set_state(state)
    still = np.zeros(5, np.float32)
    assert env.step(still)[2:4] == (False, False)
    assert env.step(still)[2:4] == (False, True)


@pytest.mark.parametrize(
    "bad", [np.zeros(4), np.zeros((1, 5)), np.full(5, np.nan), np.full(5, np.inf)]
)
def test_a_bad_action_is_refused_and_changes_nothing(env, bad):
    env.reset(seed=0)
    state = env.get_state()
    with pytest.raises(
        ValueError, match="action must be 5 finite numbers, got .* of shape"
    ):
        env.step(bad)
    assert np.array_equal(env.get_state(), state)


def test_actions_beyond_the_bounds_count_as_the_bounds(env):
    env.reset(seed=0)
    state, action = env.get_state(), np.array([3.0, -2.0, 0.5, 1.5, 9.0])
    wild = run(env, action[None])
    env.set_state(state)
    assert same(wild, run(env, action[None].clip(-1, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stat": 1}, r"unknown reset options \['stat'\]; known: state, goal, scene"),
        ({"state": np.zeros(3)}, r"state must have shape \(\d+,\), got \(3,\)"),
        ({"goal": np.zeros(3)}, r"state must have shape \(\d+,\), got \(3,\)"),
        ({"scene": "dark"}, "SceneOptions or 'random', got 'dark'"),
        ({"scene": {"light": 1}}, "SceneOptions or 'random', got {'light': 1}"),
    ],
)
def test_bad_reset_options_are_named(env, options, message):
    with pytest.raises(ValueError, match=message):
        env.reset(seed=0, options=options)


def test_a_state_with_nan_is_refused_and_changes_nothing(env):
    env.reset(seed=0)
    state = env.get_state()
    bad = state.copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match="state must be finite, got nan at 3"):
        env.set_state(bad)
    assert np.array_equal(env.get_state(), state)


def test_the_nominal_scene_comes_back_after_a_varied_one(env):
    plan = actions(3)
    env.reset(seed=7)
    nominal = run(env, plan)
    varied, _ = env.reset(seed=7, options={"scene": "random"})
    again, _ = env.reset(seed=7, options={"scene": "random"})
    other, _ = env.reset(seed=8, options={"scene": "random"})
    assert np.array_equal(varied["pixels"], again["pixels"])
    assert not np.array_equal(varied["pixels"], other["pixels"])
    env.reset(seed=7, options={"scene": SceneOptions(cube_scale=0.9, friction=0.5)})
    assert not same(nominal, run(env, plan))
    env.reset(seed=7)
    assert same(nominal, run(env, plan))


def test_nothing_becomes_infinite_in_1000_random_steps_of_any_task():
    # All tasks share one physics: what they measure is asked of one roll-out.
    simulation, rng = Simulation(), np.random.default_rng(0)
    camera = Camera(simulation.model, SIDE, SIDE)
    random_start(simulation, rng)
    start = simulation.quantities()
    for step, action in enumerate(actions(1000)):
        simulation.step(action)
        now = simulation.quantities()
        for task in TASKS.values():
            assert np.isfinite(list(task.distances(now, start).values())).all()
        assert np.isfinite(simulation.get_state()).all()
        assert np.isfinite(simulation.proprio()).all()
        if step % 200 == 0:
            assert camera.render(simulation.data).std() > 10
    camera.close()
    assert simulation.data.warning.number.sum() == 0
    assert simulation.steps == 1000


def test_observations_have_the_documented_sizes(env):
    observation, _ = env.reset(seed=0)
    assert observation["pixels"].shape == (SIDE, SIDE, 3)
    assert observation["proprio"].shape == (PROPRIO_SIZE,)
    assert observation["proprio"].dtype == np.float32


def test_what_cannot_be_made_says_why(env):
    with pytest.raises(ValueError, match="known tasks: Reach, Push, PickPlace"):
        TabletopEnv("Pull")
    with pytest.raises(ValueError, match=r"height must be in \[16, 640\] px, got 8"):
        TabletopEnv("Reach", height=8)
    with pytest.raises(ValueError, match="None or rgb_array: 'human'"):
        TabletopEnv("Reach", render_mode="human")
    with pytest.raises(ValueError, match="no episode yet: call reset first"):
        TabletopEnv("Reach").render_goal()

"""What every shipped adapter promises, in the envs themselves where they are there."""

import importlib
import warnings
from contextlib import suppress

import numpy as np
import pytest

from worldmodel.errors import OptionError
from worldmodel.evaluation.adapters.adapted_env import AdaptedEnv, judged
from worldmodel.evaluation.adapters.finding import SHIPPED, find_adapter, make_adapter
from worldmodel.evaluation.adapters.fitting import env_spec

with warnings.catch_warnings(), suppress(ImportError):
    warnings.simplefilter("ignore")
    # Before anything renders: afterwards its triton meets the LLVM of a software
    # renderer, and the process dies.
    importlib.import_module("stable_worldmodel.envs")

IDS = [name for name in SHIPPED if name != "worldmodel/PickPlace-v0"]
pytestmark = pytest.mark.filterwarnings("ignore")  # of others' packages


@pytest.fixture(scope="module", params=IDS)
def env(request):
    kind = find_adapter(request.param)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            adapter = make_adapter(request.param, kind)
        except OptionError as error:
            pytest.skip(str(error))
    made = AdaptedEnv(adapter, env_spec(adapter), 64, 64)
    yield made
    made.close()


def test_a_recorded_state_comes_back_and_looks_the_same(env):
    observation, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(3):
        size = env.action_space.shape
        observation = env.step(rng.uniform(-1, 1, size).astype(np.float32))[0]
    state = env.get_state()
    again, _ = env.reset(seed=1, options={"state": state})
    np.testing.assert_array_equal(env.get_state(), state)
    # MuJoCo's positions of bodies are those before the last of its own small steps
    np.testing.assert_allclose(again["proprio"], observation["proprio"], atol=5e-3)
    off = np.abs(again["pixels"].astype(float) - observation["pixels"])
    assert off.mean() < 1
    other = env.reset(seed=1)[0]["pixels"]
    assert np.abs(other.astype(float) - observation["pixels"]).mean() > 2 * off.mean()


def test_a_problem_is_that_of_its_seed_and_not_solved(env):
    goal, picture = env.adapter.problem(3)
    start = env.get_state()
    goal_again, picture_again = env.adapter.problem(3)
    np.testing.assert_array_equal(goal, goal_again)
    np.testing.assert_array_equal(picture, picture_again)
    np.testing.assert_array_equal(start, env.get_state())
    env.adapter.problem(4)
    assert not np.array_equal(start, env.get_state())
    assert not judged(env.adapter, start, goal)["is_success"]
    assert judged(env.adapter, goal, goal)["is_success"]
    assert env.seen(picture).std() > 5


def test_a_state_of_another_size_is_refused(env):
    env.reset(seed=0)
    with pytest.raises(ValueError, match="state"):
        env.adapter.restore(np.zeros(3))


def test_what_an_adapter_holds_keeps_the_robot_where_it_is(env):
    if not type(env.adapter).has("hold"):
        pytest.skip("its action of zeros does nothing")
    observation, _ = env.reset(seed=0)
    held = env.adapter.hold(observation["proprio"])
    action = env._spec.normalised(held)
    for _ in range(3):
        later = env.step(action.astype(np.float32))[0]
    np.testing.assert_allclose(later["proprio"], observation["proprio"], atol=1)

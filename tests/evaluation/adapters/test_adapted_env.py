import numpy as np
import pytest

from tests.evaluation.adapters.fakes import SPEC, Cart, CartAdapter
from worldmodel.evaluation.adapters import Adapter
from worldmodel.evaluation.adapters.adapted_env import AdaptedEnv, judged


def adapted(kind=CartAdapter, env=None):
    return AdaptedEnv(kind(env or Cart()), SPEC, 2, 3)


def test_actions_are_told_in_units_and_within_what_the_env_takes():
    env = adapted()
    env.reset()
    for action in ([-1, 0.5], [1.2, -1], [0, 0]):
        env.step(np.array(action, np.float32))
    taken = env.adapter.unwrapped.taken
    np.testing.assert_array_equal(taken, [[0, 0.5], [10, -1], [5, 0]])
    assert taken[0].dtype == np.float32


def test_an_env_that_declares_its_actions_gets_them_as_they_are():
    cart = Cart()
    cart.metadata = {**cart.metadata, "action_spec": SPEC.to_json()}
    env = adapted(env=cart)
    env.reset()
    env.step(np.array([0.25, -1], np.float32))
    np.testing.assert_array_equal(cart.taken, [[0.25, -1]])


def test_pixels_have_the_size_of_the_model_and_ends_of_the_env_are_left_aside():
    env = adapted()
    observation, _ = env.reset(options={"state": np.array([3.0])})
    np.testing.assert_array_equal(observation["pixels"], np.full((2, 3, 3), 30))
    assert observation["pixels"].dtype == np.uint8
    np.testing.assert_array_equal(observation["proprio"], [3.0])
    _, reward, terminated, truncated, _ = env.step(np.zeros(2, np.float32))
    assert (reward, terminated, truncated) == (0.5, False, False)


def test_what_is_not_looked_at_is_not_drawn():
    env = adapted()
    env.reset()
    env.adapter.unwrapped.render = None  # would fail
    env.draws = False
    assert set(env.step(np.zeros(2, np.float32))[0]) == {"proprio"}


def test_success_needs_every_distance_and_the_main_one_comes_first():
    env = adapted()
    _, info = env.reset(options={"state": np.array([3.0]), "goal": np.array([3.4])})
    assert info["is_success"]
    assert list(info["distances"]) == ["place [m]", "speed [m/s]"]
    assert info["distance"] == pytest.approx(0.4)
    *_, info = env.step(np.zeros(2, np.float32))
    assert not info["is_success"]


def test_distances_without_tolerances_are_refused():
    class Other(CartAdapter):
        tolerances = {"angle [deg]": 3.0}  # noqa: RUF012

    with pytest.raises(ValueError, match=r"Other.distances must give \['angle \[deg\]"):
        judged(Other(Cart()), np.zeros(1), np.zeros(1))


@pytest.mark.parametrize(
    "picture", [np.zeros((3, 8, 8), np.uint8), np.zeros((8, 8, 3)), None]
)
def test_what_is_no_picture_is_refused(picture):
    class Blind(CartAdapter):
        def picture(self, observation):
            return picture

    with pytest.raises(ValueError, match=r"Blind.picture must give uint8 \(height"):
        adapted(Blind).reset()


def test_a_picture_in_the_observation_comes_before_render():
    plain, picture = Adapter(Cart()), np.ones((5, 5, 3), np.uint8)
    assert plain.picture(picture) is picture
    assert plain.picture({"a": np.zeros(3), "b": picture}) is picture
    assert plain.picture({"a": np.zeros(3)}).shape == (4, 6, 3)
    assert plain.picture({"a": picture, "b": picture}).shape == (4, 6, 3)
    assert plain.feel({"a": np.zeros(3)}).shape == (0,)

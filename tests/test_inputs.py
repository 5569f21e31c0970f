"""What users hand to a world model, an env and a policy: refused with what is wrong."""

# Wrong arguments are what is tried here.
# pyright: reportArgumentType=false

import re

import numpy as np
import pytest
import torch

from envs.tabletop import TabletopEnv
from planners import CEM, MPC
from tests.commands.tiny import SIDE, tiny_spec
from worldmodel.evaluation.world_model_policy import WorldModelPolicy
from worldmodel.history import Context
from worldmodel.model import WorldModel

NAN = float("nan")


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = WorldModel(tiny_spec(policy_prior=True, proprio_dim=20))
    return made.requires_grad_(False).eval()


def numbers(*shape, place=None, value=NAN):
    made = torch.linspace(-0.5, 0.5, int(np.prod(shape))).view(shape).clone()
    if place is not None:
        made.view(-1)[place] = value
    return made


GOOD = {"latents": (2, 1, 8), "proprio": (2, 20), "action": (2, 5)}


def remember(model, name=None, value=None):
    """The second moment of an episode, with one of what it takes replaced."""
    given = {key: numbers(*shape) for key, shape in GOOD.items()}
    past = model.remember(None, None, given["latents"], given["proprio"])
    if name is not None:
        given[name] = value
    return model.remember(past, given["action"], given["latents"], given["proprio"])


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [NAN, torch.inf])
def test_what_is_remembered_must_be_numbers(model, name, value):
    with pytest.raises(
        ValueError, match=rf"{name} must be finite numbers, got {value}"
    ):
        remember(model, name, numbers(*GOOD[name], place=3, value=value))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("latents", (1, 1, 8), "must be (B, S) = (1, 20), got (2, 20)"),
        ("latents", (2, 1, 9), "latents must be (B, P, D) = (2, 1, 8), got (2, 1, 9)"),
        ("latents", (0, 1, 8), "latents must be (B >= 1, P, D), got (0, 1, 8)"),
        ("proprio", (1, 20), "proprio must be (B, S) = (2, 20), got (1, 20)"),
        ("proprio", (2, 7), "proprio must be (B, S) = (2, 20), got (2, 7)"),
        ("proprio", (2, 2), "proprio must have at least the 3 dimensions"),
        ("proprio", (2, 1, 20), "proprio must be (B, S) = (2, 20), got (2, 1, 20)"),
        ("action", (2, 4), "action must be (B, A) = (2, 5), got (2, 4)"),
        ("action", (1, 5), "action must be (B, A) = (2, 5), got (1, 5)"),
        ("action", (5,), "action must be (B, A) = (2, 5), got (5,)"),
    ],
)
def test_what_is_remembered_must_fit(model, name, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        remember(model, name, numbers(*shape))


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [np.zeros((2, 5)), [0.0], torch.zeros(2, 5).int()])
def test_what_is_remembered_must_be_tensors(model, name, value):
    with pytest.raises(ValueError, match=rf"{name} must be (a torch tensor|floating)"):
        remember(model, name, value)


def test_proprio_must_be_as_wide_as_that_of_training():
    with torch.random.fork_rng():
        made = WorldModel(tiny_spec(policy_prior=True, proprio_dim=20)).eval()
    latents = numbers(2, 1, 8)
    made.remember(None, None, latents, numbers(2, 20))
    with pytest.raises(ValueError, match=r"proprio must be \(B, S\) = \(2, 20\), got"):
        made.remember(None, None, latents, numbers(2, 19))
    with pytest.raises(ValueError, match=r"proprio must be .* got \(2, 21\)"):
        made.context(latents[:, None], numbers(2, 0, 5), numbers(2, 1, 21))


@pytest.mark.parametrize("name", ["latents", "actions", "proprio"])
def test_a_film_must_be_numbers(model, name):
    given = {
        "latents": numbers(2, 3, 1, 8),
        "actions": numbers(2, 2, 5),
        "proprio": numbers(2, 3, 20),
    }
    model.context(**given)
    given[name].view(-1)[-1] = NAN
    with pytest.raises(ValueError, match=f"{name} must be finite numbers, got nan at"):
        model.context(**given)


@pytest.mark.parametrize("shape", [(2, 2, 20), (1, 3, 20), (2, 20)])
def test_a_films_proprio_must_fit(model, shape):
    with pytest.raises(ValueError, match=r"proprio must be \(B=2, T=3, S\), got"):
        model.context(numbers(2, 3, 1, 8), numbers(2, 2, 5), numbers(*shape))


def context(**changes):
    given = {"latents": numbers(1, 2, 1, 8), "actions": numbers(1, 1, 5), **changes}
    return Context(**given)


def test_a_goal_and_a_past_must_be_numbers(model):
    goal = numbers(1, 1, 8)
    with pytest.raises(ValueError, match="goal must be finite numbers, got nan"):
        model.goal_cost(context(), numbers(1, 1, 8, place=0))
    with pytest.raises(ValueError, match="goal must be finite numbers, got nan"):
        model.proposals(context(), numbers(1, 1, 8, place=0))
    with pytest.raises(ValueError, match="latents must be finite numbers, got nan"):
        model.goal_cost(context(latents=numbers(1, 2, 1, 8, place=0)), goal)
    with pytest.raises(ValueError, match="actions must be finite numbers, got nan"):
        model.goal_cost(context(actions=numbers(1, 1, 5, place=0)), goal)
    with pytest.raises(ValueError, match="goal must be a torch tensor"):
        model.goal_cost(context(), goal.numpy())


def test_actions_must_fit_and_be_numbers(model):
    cost = model.goal_cost(context(), numbers(1, 1, 8))
    for actions in (numbers(1, 3, 2, 4), numbers(2, 3, 2, 5), numbers(3, 2, 5), None):
        with pytest.raises(
            ValueError, match=r"actions must be \(B=1, N, H, A.*\), got"
        ):
            cost(actions)
        with pytest.raises(
            ValueError, match=r"actions must be \(B=1, N, H, A.*\), got"
        ):
            model.predict(context(), actions)
    with pytest.raises(ValueError, match="actions must be finite numbers, got nan"):
        model.predict(context(), numbers(1, 3, 2, 5, place=0))


def test_a_controller_of_another_width_is_told_so(model):
    mpc = MPC(CEM(samples=4, elites=2, iterations=1), horizon=2, proposals=1)
    begin = mpc.start(torch.tensor([0]), action_size=4)
    with pytest.raises(ValueError, match=r"actions must be \(B=1, N, H, A.*\), got"):
        mpc.step(model.goal_cost(context(), numbers(1, 1, 8)), begin)


@pytest.mark.parametrize("value", [None, 3, np.zeros((1, 1, SIDE, SIDE, 3), np.uint8)])
def test_frames_must_be_a_tensor(model, value):
    for call in (model.encode, model.encode_newest):
        with pytest.raises(ValueError, match="frames must be uint8"):
            call(value)


def test_a_clip_without_frames_is_refused(model):
    with pytest.raises(ValueError, match="with B, T at least 1"):
        model.encode_newest(torch.zeros(1, 0, SIDE, SIDE, 3, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("proprio", "message"),
    [
        (np.full((1, 20), np.nan, np.float32), "proprio must be finite, got nan at"),
        (np.zeros((2, 20), np.float32), "proprio must be floating point (B=1, size)"),
        (np.zeros((1, 20), int), "proprio must be floating point (B=1, size), got int"),
    ],
)
def test_a_policy_takes_proprio_that_is_measured(model, proprio, message):
    mpc = MPC(CEM(samples=4, elites=2, iterations=1), horizon=2, proposals=1)
    policy = WorldModelPolicy(model, mpc, model.action_spec)
    picture = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    policy.start(picture, np.zeros(1, np.int64))
    with pytest.raises(ValueError, match=re.escape(message)):
        policy.act(picture, proprio)
    policy.act(picture, np.zeros((1, 20), np.float32))
    with pytest.raises(ValueError, match="actions must be finite, got nan"):
        policy.took(np.full((1, 5), np.nan, np.float32))


@pytest.fixture(scope="module")
def env():
    made = TabletopEnv()
    yield made
    made.close()


def test_an_env_must_be_reset_first(env):
    for call in (lambda: env.step(np.zeros(5)), env.info, env.render_goal):
        with pytest.raises(ValueError, match="no episode yet: call reset first"):
            call()


@pytest.mark.parametrize("action", [np.zeros(4), np.full(5, np.nan), None, ["a"] * 5])
def test_an_action_must_be_five_numbers(env, action):
    env.set_goal(env.get_state())
    with pytest.raises(ValueError, match="action must be 5 finite numbers, got"):
        env.step(action)

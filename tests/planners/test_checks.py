"""Settings of the wrong type, without end, or with more work than can be waited for."""

# Wrong arguments are what is tried here.
# pyright: reportArgumentType=false

import re
from dataclasses import fields

import numpy as np
import pytest
import torch

from planners import (
    CEM,
    CMAES,
    ICEM,
    MPC,
    MPPI,
    Gradient,
    Guess,
    Penalties,
    RandomShooting,
    Refine,
)
from planners.checks import require_types
from planners.contract import MOST_WORK

PLANNERS = [RandomShooting, CEM, ICEM, MPPI, CMAES, Gradient, Penalties]


@pytest.mark.parametrize("kind", PLANNERS)
def test_no_setting_takes_a_thing_that_is_none_of_its_types(kind):
    for field in fields(kind):
        with pytest.raises(ValueError, match=f"{field.name} must be "):
            kind(**{field.name: object()})


@pytest.mark.parametrize("kind", PLANNERS)
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_no_setting_takes_a_number_that_orders_nothing(kind, value):
    for field in fields(kind):
        if field.name not in ("answer", "relative"):
            with pytest.raises(ValueError, match=f"{field.name} must be "):
                kind(**{field.name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": "64"}, "samples must be a whole number, got '64'"),
        ({"samples": 64.0}, "samples must be a whole number, got 64.0"),
        ({"samples": True}, "samples must be a whole number, got True"),
        ({"std": "0.5"}, "std must be a number or a list of numbers, got '0.5'"),
        ({"std": [0.5, "x"]}, "std must be a number or a list of numbers"),
        ({"samples": 10**9}, "samples must be in [2, 1000000], got 1000000000"),
        ({"iterations": 10**9}, "iterations must be in [1, 100000], got 1000000000"),
    ],
)
def test_cem_says_what_a_setting_must_be(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        CEM(**settings)


def test_numbers_of_numpy_are_numbers():
    assert CEM(samples=np.int64(64), elites=np.int32(8), std=np.float32(0.5)).room == 64


@pytest.mark.parametrize("horizon", [None, "6", 6.0, 10_000_000, 0])
def test_mpc_says_what_a_horizon_must_be(horizon):
    with pytest.raises(ValueError, match=r"horizon must be .* got "):
        MPC(CEM(), horizon=horizon)


@pytest.mark.parametrize("planner", [None, "cem", CEM])
def test_mpc_says_what_a_planner_is(planner):
    with pytest.raises(ValueError, match=r"planner must be a planner such as CEM"):
        MPC(planner, horizon=6)
    with pytest.raises(ValueError, match=r"first must be a planner such as CEM"):
        Refine(planner, CEM())


@pytest.mark.parametrize("name", ["effort", "smoothness"])
def test_penalties_are_finite(name):
    with pytest.raises(ValueError, match=f"{name} must be finite .* got inf"):
        Penalties(**{name: float("inf")})


def test_candidates_times_horizon_are_bounded():
    most = MOST_WORK // 100
    MPC(CEM(samples=most), horizon=100)
    with pytest.raises(ValueError, match=r"candidates x horizon must be at most 1000"):
        MPC(CEM(samples=most + 1), horizon=100)


def test_the_second_search_is_bounded_as_well():
    mpc = MPC(Refine(CEM(), CEM(samples=MOST_WORK)), horizon=6)
    begin = mpc.start(torch.tensor([0]), 2)
    with pytest.raises(ValueError, match=r"candidates x horizon must be at most"):
        mpc.step(lambda actions: actions.square().mean((-2, -1)), begin)


def test_costs_that_are_no_tensor_are_named():
    guess = torch.zeros(1, 3, 2)
    with pytest.raises(ValueError, match=r"a torch tensor \(B, N\) = .* got ndarray"):
        CEM().plan(lambda a: a.numpy().sum((-2, -1)), guess, torch.tensor([0]))


def test_what_begins_a_plan_is_a_tensor():
    guess, seeds = torch.zeros(1, 3, 2), torch.tensor([0])
    cost = torch.Tensor.square
    with pytest.raises(ValueError, match=r"guess.mean must be a torch tensor"):
        CEM().plan(cost, guess.numpy(), seeds)
    with pytest.raises(ValueError, match=r"guess.mean must be a torch tensor"):
        Guess(None)
    with pytest.raises(ValueError, match=r"seeds must be a torch.int64 tensor"):
        CEM().plan(cost, guess, [0])
    with pytest.raises(ValueError, match=r"seeds must be a torch.int64 tensor"):
        MPC(CEM(), horizon=3).start(0, 5)
    with pytest.raises(ValueError, match=r"action_size must be a whole number"):
        MPC(CEM(), horizon=3).start(seeds, None)


def test_fields_that_hold_other_things_are_left_alone():
    assert require_types(Guess(torch.zeros(1, 1, 1))) is None  # and does not raise

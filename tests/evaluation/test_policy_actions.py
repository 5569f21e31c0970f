"""Actions of a policy where a model step is several control steps, or absolute."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.evaluation.fakes import SIDE, SPEC, PointModel, picture, point_mpc
from worldmodel.action_spec import ActionSpec
from worldmodel.errors import SpecMismatchError
from worldmodel.evaluation.world_model_policy import WorldModelPolicy

SEEDS = np.array([3, 4])
GOALS = np.stack([picture(np.array(p)) for p in ((0.5, 0.5), (-0.5, 0.1))])
ABSOLUTE = replace(SPEC, absolute=True)
PAIRS = replace(SPEC, block=2)


@dataclass
class PairModel(PointModel):
    """A step of it is two control steps, whose actions stand side by side."""

    action_spec: ActionSpec = PAIRS
    taken: list[Tensor | None] = field(default_factory=list)

    def remember(self, past, action, latents, proprio):
        self.taken.append(action)
        self.contexts.append((latents[:, None], latents[:, None, :0], proprio))
        return self.contexts[-1]

    def predict(self, context, actions):
        return super().predict(context, actions[..., :2] + actions[..., 2:])


def moments(step: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and proprio of a step, which tell it."""
    place = np.array([0.1 * step, 0.0])
    frames = np.stack([picture(place)] * 2)
    return frames, np.full((2, 2), 0.1 * step, np.float32)


def test_a_block_is_executed_step_by_step_and_frames_within_it_are_not_seen():
    model = PairModel()
    policy = WorldModelPolicy(model, point_mpc(), SPEC)
    policy.start(GOALS, SEEDS)
    decisions = [policy.act(*moments(step)) for step in range(5)]
    assert [d.actions.shape for d in decisions] == [(2, 2)] * 5
    planned = [not np.isnan(d.cost).any() for d in decisions]
    assert planned == [True, False, True, False, True]
    seen = [float(latents[0, 0, 0, 0]) for latents, *_ in model.contexts]
    np.testing.assert_allclose(seen, [0.0, 0.2, 0.4], atol=1e-4)
    assert model.taken[0] is None
    for place, taken in enumerate(model.taken[1:]):
        both = [decisions[2 * place].actions, decisions[2 * place + 1].actions]
        assert taken is not None
        np.testing.assert_array_equal(taken.numpy(), np.concatenate(both, axis=1))
    assert not np.array_equal(decisions[0].actions, decisions[1].actions)


def test_both_halves_of_a_block_are_what_is_told_to_have_been_taken():
    model = PairModel()
    policy = WorldModelPolicy(model, point_mpc(), SPEC)
    policy.start(GOALS, SEEDS)
    told = []
    for step in range(3):
        policy.act(*moments(step))
        told.append(np.full((2, 2), 0.1 * (step + 1), np.float32))
        policy.took(told[-1])
    assert model.taken[1] is not None
    np.testing.assert_array_equal(model.taken[1].numpy(), np.hstack(told[:2]))


def test_a_plan_of_two_blocks_gives_four_control_steps():
    policy = WorldModelPolicy(PairModel(), point_mpc(execute=2), SPEC)
    policy.start(GOALS, SEEDS)
    decisions = [policy.act(*moments(step)) for step in range(8)]
    planned = [not np.isnan(d.cost).any() for d in decisions]
    assert planned == [True, False, False, False] * 2


def test_another_block_of_the_env_is_no_contradiction_but_other_actions_are():
    WorldModelPolicy(PairModel(), point_mpc(), SPEC)
    with pytest.raises(SpecMismatchError, match="rate_hz"):
        WorldModelPolicy(PairModel(), point_mpc(), replace(SPEC, rate_hz=2.0))


def reluctant(model: PointModel, **settings: Any) -> WorldModelPolicy:
    """A policy for which no plan gains enough."""
    mpc = replace(point_mpc(), min_improvement=1e9)
    return WorldModelPolicy(model, mpc, replace(model.action_spec, block=1), **settings)


def test_doing_nothing_with_absolute_actions_is_to_hold_what_proprio_tells():
    policy = reluctant(PointModel(action_spec=ABSOLUTE), idle=lambda rows: rows / 2)
    policy.start(GOALS, SEEDS)
    for step in range(4):
        pixels, proprio = moments(step)
        np.testing.assert_array_equal(policy.act(pixels, proprio).actions, proprio / 2)


def test_an_action_that_does_nothing_stays_in_range():
    policy = reluctant(PointModel(action_spec=ABSOLUTE), idle=lambda rows: rows + 3)
    policy.start(GOALS, SEEDS)
    np.testing.assert_array_equal(policy.act(*moments(0)).actions, np.ones((2, 2)))


def test_without_that_the_last_absolute_action_is_taken_again():
    policy = reluctant(PointModel(action_spec=ABSOLUTE))
    policy.start(GOALS, SEEDS)
    np.testing.assert_array_equal(policy.act(*moments(0)).actions, np.zeros((2, 2)))
    told = np.array([[0.3, -0.2], [0.1, 0.9]], np.float32)
    policy.took(told)
    for step in (1, 2):
        np.testing.assert_array_equal(policy.act(*moments(step)).actions, told)


def test_a_block_that_does_nothing_does_so_at_each_of_its_steps():
    spec = replace(ABSOLUTE, block=2)
    policy = reluctant(PairModel(action_spec=spec), idle=lambda rows: rows / 2)
    policy.start(GOALS, SEEDS)
    first, second = (policy.act(*moments(step + 3)).actions for step in range(2))
    np.testing.assert_array_equal(first, np.full((2, 2), 0.15, np.float32))
    np.testing.assert_array_equal(second, first)


def test_no_proprio_is_told_to_the_model_as_none():
    class Numb(PairModel):
        def remember(self, past, action, latents, proprio):
            assert proprio is None
            return super().remember(past, action, latents, latents)

    policy = WorldModelPolicy(Numb(), point_mpc(), SPEC)
    policy.start(GOALS, SEEDS)
    frames = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    assert policy.act(frames, np.zeros((2, 0), np.float32)).actions.shape == (2, 2)
    assert torch.isfinite(torch.from_numpy(policy.act(*moments(1)).actions)).all()


def test_a_policy_looks_where_a_model_step_ends_and_nowhere_else():
    seeing, glancing = (WorldModelPolicy(PairModel(), point_mpc(), SPEC) for _ in "ab")
    for policy in (seeing, glancing):
        policy.start(GOALS, SEEDS)
    for step in range(4):
        frames, proprio = moments(step)
        assert glancing.looks == (step % 2 == 0)
        shown = frames if glancing.looks else None
        np.testing.assert_array_equal(
            glancing.act(shown, proprio).actions, seeing.act(frames, proprio).actions
        )
    with pytest.raises(ValueError, match="frames are needed at the end of a model"):
        glancing.act(None, moments(4)[1])

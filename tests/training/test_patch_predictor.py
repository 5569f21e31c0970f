"""V-JEPA 2-AC's training on stored tokens."""

from dataclasses import replace
from typing import cast

import pytest
import torch

from worldmodel.data import FrameCache
from worldmodel.errors import WorldModelError
from worldmodel.predictors import PatchPredictor, PatchPredictorSpec, pose
from worldmodel.predictors.patch_predictor import normalised
from worldmodel.training.loop import Schedule, Training, fit
from worldmodel.training.patch_predictor import (
    PatchEpisodes,
    PatchPredictorRecipe,
    initialise,
    patch_loss,
    patch_predictor_job,
)
from worldmodel.training.step_cost import measured_step, step_cost
from worldmodel.training.tokens import TokenCache

SPEC = PatchPredictorSpec(
    rows=1, columns=2, token_dim=8, width=24, depth=2, heads=2, hidden=48
)


def predictor() -> PatchPredictor:
    made = PatchPredictor(SPEC)
    initialise(made, torch.Generator().manual_seed(0))
    return made


def episodes(lengths=(12, 3, 12)) -> PatchEpisodes:
    """Hands that jump anywhere; tokens tell where they are."""
    generator = torch.Generator().manual_seed(1)
    count = sum(lengths)
    states = torch.zeros(count, 7)
    states[:, :3] = torch.rand(count, 3, generator=generator) * 2 - 1
    shown = torch.randn(4, SPEC.patches * SPEC.token_dim, generator=generator)
    tokens = states[:, :3] @ shown[:3] + shown[3]
    shape = (count, SPEC.patches, SPEC.token_dim)
    return PatchEpisodes(tokens.view(shape), states, lengths)


def test_the_loss_is_single_steps_and_a_rollout_from_the_first_frame():
    data = episodes()
    tokens, states = data.windows(torch.arange(10).view(2, 5))
    tokens = normalised(tokens)
    actions, made = pose.between(states), predictor()
    forced = made(tokens[:, :-1], actions, states[:, :-1])
    one = made(tokens[:, :1], actions[:, :1], states[:, :1])
    both = torch.cat((tokens[:, :1], one), dim=1)
    two = made(both, actions[:, :2], states[:, :2])[:, 1:]
    rolled = torch.cat((one, two), dim=1)
    terms = patch_loss(made, tokens, states, rolled=2)
    steps = (forced - tokens[:, 1:]).abs().mean()
    rollout = (rolled - tokens[:, 1:3]).abs().mean()
    torch.testing.assert_close(terms["steps"], steps)
    torch.testing.assert_close(terms["rollout"], rollout)
    torch.testing.assert_close(terms["total"], steps + rollout)
    first = patch_loss(made, tokens, states, rolled=1)["rollout"]
    torch.testing.assert_close(first, (one - tokens[:, 1:2]).abs().mean())


def test_training_makes_the_predictor_see_what_actions_do():
    made, generator = predictor(), torch.Generator().manual_seed(2)
    unused = made.extrinsics_encoder.weight.clone()
    data = episodes((40,) * 10)
    recipe = PatchPredictorRecipe(windows=8, frames=4)
    job = patch_predictor_job(recipe, made, data, generator)
    told = []
    training = Training(
        Schedule(steps=120, learning_rate=3e-3, warmup=10),
        generator,
        on_step=lambda step, terms: told.append(terms["steps"]),
    )
    fit({"predictor": job}, training)
    assert told[-1] < 0.5 * told[0]
    assert torch.equal(made.extrinsics_encoder.weight, unused)
    # Told other actions, it predicts other tokens, and worse.
    tokens, states = data.windows(torch.arange(30)[:, None])
    tokens, states = normalised(tokens), states[:, 0]
    actions = pose.between(states)[:, None]
    with torch.no_grad():
        right = made(tokens[:-1], actions, states[:-1, None])
        wrong = made(tokens[:-1], actions.flip(0), states[:-1, None])
    errors = [(t - tokens[1:]).abs().mean() for t in (right, wrong)]
    assert errors[0] < 0.7 * errors[1]


def test_weights_of_chance_are_as_published():
    made = predictor()
    weights = made.state_dict()
    spread = float(weights["predictor_blocks.0.mlp.fc1.weight"].std())
    assert 0.018 < spread < 0.022
    spread = float(weights["predictor_blocks.1.mlp.fc2.weight"].std())
    assert 0.009 < spread < 0.011  # a half, in the second block
    assert not weights["predictor_proj.bias"].any()


def test_windows_stay_in_their_episode():
    begins = episodes((5, 2, 3)).begins(3).tolist()
    assert begins == [0, 1, 2, 7]


def test_nothing_is_learned_from_what_is_held_out():
    data = replace(episodes((5, 12, 3)), held_out=(1,))
    assert data.begins(3).tolist() == [0, 1, 2, 17]
    with pytest.raises(WorldModelError, match="frames is 6, but the longest .* has 5"):
        data.begins(6)


def test_tokens_of_a_file_are_learned_from_as_those_in_memory():
    data = episodes()
    assert isinstance(data.tokens, torch.Tensor)
    frames = cast(FrameCache, None)  # which nothing asks for
    mapped = replace(data, tokens=TokenCache(data.tokens.numpy(), frames))
    drawn = []
    for some in (data, mapped):
        generator = torch.Generator().manual_seed(3)
        job = patch_predictor_job(PatchPredictorRecipe(), predictor(), some, generator)
        drawn.append(job.fresh())
    for one, other in zip(*drawn, strict=True):
        assert torch.equal(one, other)


def test_a_step_is_measured_without_a_trace():
    made, generator = predictor(), torch.Generator().manual_seed(2)
    before = {name: value.clone() for name, value in made.state_dict().items()}

    def job_of(windows):
        recipe = PatchPredictorRecipe(windows=windows)
        return patch_predictor_job(recipe, made, episodes(), generator)

    told, measured = step_cost(job_of, 6), measured_step(job_of(6))
    assert told.seconds > 0
    # In float32 the first window keeps 20 bytes less than each of the others.
    assert told.kept == pytest.approx(measured.kept, rel=2e-4)
    assert measured.kept > measured_step(job_of(5)).kept
    assert all(p.grad is None for p in made.parameters())
    assert all(torch.equal(before[n], v) for n, v in made.state_dict().items())


def test_what_does_not_fit_is_named():
    data, generator = episodes(), torch.Generator()
    with pytest.raises(WorldModelError, match="frames is 13, but the longest .* 12"):
        patch_predictor_job(
            PatchPredictorRecipe(frames=13), predictor(), data, generator
        )
    with pytest.raises(WorldModelError, match="must be 1 to 32, got 33"):
        patch_predictor_job(
            PatchPredictorRecipe(frames=33), predictor(), data, generator
        )
    other = PatchPredictor(replace(SPEC, columns=3))
    with pytest.raises(WorldModelError, match=r"tokens must be .* = \(N, 3, 8\), got"):
        patch_predictor_job(PatchPredictorRecipe(), other, data, generator)
    with pytest.raises(WorldModelError, match=r"states must be \(N=27, 7\), got"):
        replace(data, states=data.states[:, :6])
    with pytest.raises(WorldModelError, match=r"tokens must be \(N=28, P, D\)"):
        replace(data, lengths=(28,))
    with pytest.raises(WorldModelError, match=r"rolled must be in \[1, frames=8\)"):
        PatchPredictorRecipe(rolled=8)
    with pytest.raises(WorldModelError, match="windows must be at least 1, got 0"):
        PatchPredictorRecipe(windows=0)

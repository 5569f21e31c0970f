"""The packed predictor is the predictor."""

from typing import Any

import pytest
import torch

from worldmodel.inference.affine import Affine, affine
from worldmodel.inference.predictor import PredictorCopy
from worldmodel.predictors import ActionPredictor, ActionPredictorSpec

B, N, H, D, A = 2, 5, 4, 6, 3
# What other matrix products and four steps make of a float32's last bits: 4e-6 to 9e-6
# measured with six kinds of kernels. A norm or a lag bias left out changes 0.9 or more.
ROUNDING = 1e-4


def predictor(**spec) -> ActionPredictor:
    settings = {"width": 16, "heads": 2, "depth": 2, "window": 3} | spec
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = ActionPredictor(ActionPredictorSpec(D, A, **settings))
        for name, weight in made.named_parameters():
            if name.endswith("lag_bias"):
                torch.nn.init.normal_(weight)
            if name.startswith("leave"):
                torch.nn.init.normal_(weight, std=0.2)
            if name.startswith("norm"):
                torch.nn.init.uniform_(weight, 0.5, 1.5)
    return made.requires_grad_(False).eval()


def problem(past: int = 4):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(B, past, D, generator=generator)
    taken = torch.rand(B, past - 1, A, generator=generator) * 2 - 1
    actions = torch.rand(B, N, H, A, generator=generator) * 2 - 1
    return latents, taken, actions


@torch.no_grad()
def rolled(packed, latents, taken, actions):
    history = packed.history(latents, taken)
    return packed.rollout(latents[:, -1], history, actions)


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("past", [1, 2, 7])
@pytest.mark.parametrize("spec", [{}, {"depth": 3}, {"head_width": 12}, {"heads": 1}])
def test_in_float32_it_is_the_predictor(window, past, spec):
    made = predictor(window=window, **spec)
    latents, taken, actions = problem(past)
    expected = made.rollout(latents, taken, actions)
    found = rolled(PredictorCopy(made, torch.float32), latents, taken, actions)
    torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING)


def test_in_bfloat16_it_is_near_and_gives_float32():
    made = predictor()
    latents, taken, actions = problem()
    expected = made.rollout(latents, taken, actions)
    found = rolled(PredictorCopy(made, torch.bfloat16), latents, taken, actions)
    moved = (expected - latents[:, -1, None, None]).abs().mean()
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().mean() < 0.02 * moved


def test_step_by_step_is_at_once():
    packed = PredictorCopy(predictor(), torch.float32)
    latents, taken, actions = problem()
    with torch.no_grad():
        past, here = packed.history(latents, taken), latents[:, -1:].expand(B, N, D)
        for step in range(H):
            here, past = packed.advance(
                here, packed.modulate(actions[:, :, step]), past
            )
    whole = rolled(packed, latents, taken, actions)
    torch.testing.assert_close(here, whole[:, :, -1], rtol=0, atol=ROUNDING)


def test_head_width_must_be_at_least_1():
    with pytest.raises(ValueError, match="head_width must be at least 1, got 0"):
        ActionPredictorSpec(head_width=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 8, 64, 100])
def test_a_packed_map_is_the_layer(dtype, rows):
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(24, 40).to(dtype).requires_grad_(False)
    x = torch.randn(2, rows, 24, generator=generator).to(dtype)
    packed = affine(layer).to(dtype)
    exact = dtype == torch.float32
    tolerance: Any = (
        {"rtol": 1e-5, "atol": 1e-6} if exact else {"rtol": 0.02, "atol": 0.02}
    )
    expected = layer(x)
    torch.testing.assert_close(packed(x), expected, **tolerance)
    gelu = torch.nn.functional.gelu(expected)
    torch.testing.assert_close(packed.gelu(x), gelu, **tolerance)
    plain = Affine(packed.weight, packed.bias)  # as on a device without oneDNN
    torch.testing.assert_close(plain.gelu(x), gelu, **tolerance)

import pytest
import torch
from torch import Tensor

from worldmodel.predictors import ActionPredictor, ActionPredictorSpec, Cache

B, N, H, D, A = 2, 3, 4, 6, 5


def predictor(depth: int = 2, window: int = 3) -> ActionPredictor:
    """In float64, with lag biases that differ, as they do after training."""
    spec = ActionPredictorSpec(D, A, width=16, depth=depth, heads=2, window=window)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = ActionPredictor(spec)
        for name, weight in made.named_parameters():
            if name.endswith("lag_bias"):
                torch.nn.init.normal_(weight)
            if name.startswith("leave"):
                torch.nn.init.normal_(weight)
    return made.double().requires_grad_(False).eval()


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def uncached(model: ActionPredictor, past: Tensor, taken: Tensor, a: Tensor) -> Tensor:
    """The roll-out by whole sequences: everything is computed anew at every step."""
    batch, candidates, horizon, _ = a.shape
    latents = past.repeat_interleave(candidates, 0)
    actions = taken.repeat_interleave(candidates, 0)
    for step in range(horizon):
        actions = torch.cat((actions, a.flatten(0, 1)[:, step : step + 1]), dim=1)
        latents = torch.cat((latents, model(latents, actions)[:, -1:]), dim=1)
    return latents[:, past.shape[1] :].unflatten(0, (batch, candidates))


@pytest.mark.parametrize(("depth", "window"), [(1, 1), (1, 3), (2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("past", [1, 2, 7])
def test_the_cached_rollout_is_the_uncached_one(depth: int, window: int, past: int):
    model = predictor(depth, window)
    latents, taken = gaussian(B, past, D), gaussian(B, past - 1, A, seed=1)
    actions = gaussian(B, N, H, A, seed=2)
    future = model.rollout(latents, taken, actions)
    assert future.shape == (B, N, H, D)
    expected = uncached(model, latents, taken, actions)
    torch.testing.assert_close(future, expected, rtol=0, atol=1e-12)


def test_what_is_older_than_the_windows_reach_does_not_count():
    model, latents, taken = predictor(), gaussian(B, 8, D), gaussian(B, 7, A, seed=1)
    actions = gaussian(B, N, H, A, seed=2)
    reach = 2 * (3 - 1) + 1  # depth * (window - 1) + 1 latents
    cut = model.rollout(latents[:, -reach:], taken[:, 1 - reach :], actions)
    whole = model.rollout(latents, taken, actions)
    torch.testing.assert_close(cut, whole, rtol=0, atol=1e-12)
    short = model.rollout(latents[:, 1 - reach :], taken[:, 2 - reach :], actions)
    assert (short - whole).abs().max() > 1e-6


def test_positions_are_relative():
    model, latents, actions = predictor(), gaussian(B, 9, D), gaussian(B, 9, A, seed=1)
    early, late = model(latents[:, :7], actions[:, :7]), model(latents, actions)[:, 2:]
    shifted = model(latents[:, 2:], actions[:, 2:])
    # From where both see a full reach of 5 steps they agree, two places apart.
    torch.testing.assert_close(shifted[:, 4:], late[:, 4:], rtol=0, atol=1e-12)
    assert (shifted[:, :2] - late[:, :2]).abs().max() > 1e-6
    assert (early - shifted).abs().max() > 1e-2


def test_the_order_of_the_past_counts():
    model, actions = predictor(), torch.zeros(1, 3, A, dtype=torch.float64)
    latents = gaussian(1, 3, D)
    swapped = latents[:, [1, 0, 2]]
    difference = model(latents, actions)[:, -1] - model(swapped, actions)[:, -1]
    assert difference.abs().max() > 1e-6


def test_no_prediction_sees_a_later_latent_or_action():
    model = predictor()
    latents = gaussian(1, 6, D).requires_grad_()
    actions = gaussian(1, 6, A, seed=1).requires_grad_()
    predicted = model(latents, actions)
    for t in range(6):
        inputs = torch.autograd.grad(
            predicted[0, t].sum(), (latents, actions), retain_graph=True
        )
        for gradient in inputs:
            seen = gradient[0].abs().sum(-1) > 0
            assert not seen[t + 1 :].any()
            assert seen[t]


def test_a_rollout_is_repeated_single_steps():
    model, latents, taken = predictor(), gaussian(B, 2, D), gaussian(B, 1, A, seed=1)
    actions = gaussian(B, 1, H, A, seed=2)
    whole = model.rollout(latents, taken, actions)
    for step in range(H):
        now = model.rollout(latents, taken, actions[:, :, step : step + 1])[:, 0]
        torch.testing.assert_close(now[:, 0], whole[:, 0, step], rtol=0, atol=1e-12)
        latents = torch.cat((latents, now), dim=1)
        taken = torch.cat((taken, actions[:, 0, step : step + 1]), dim=1)


def test_candidates_and_problems_do_not_see_each_other():
    model, latents, taken = predictor(), gaussian(B, 3, D), gaussian(B, 2, A, seed=1)
    actions = gaussian(B, N, H, A, seed=2)
    together = model.rollout(latents, taken, actions)
    for b in range(B):
        for n in range(N):
            alone = model.rollout(
                latents[b : b + 1], taken[b : b + 1], actions[b : b + 1, n : n + 1]
            )
            torch.testing.assert_close(alone[0, 0], together[b, n], rtol=0, atol=1e-12)


def test_gradients_reach_every_action_that_came_before():
    model = predictor()
    actions = gaussian(1, 1, H, A, seed=2).requires_grad_()
    future = model.rollout(gaussian(1, 2, D), gaussian(1, 1, A, seed=1), actions)
    for step in range(H):
        (gradient,) = torch.autograd.grad(
            future[0, 0, step].sum(), actions, retain_graph=True
        )
        felt = gradient[0, 0].abs().sum(-1) > 0
        assert felt.tolist() == [past <= step for past in range(H)]


def test_gradients_are_those_of_finite_differences():
    model = predictor()
    actions = gaussian(1, 1, 2, A, seed=2).requires_grad_()
    latents, taken = gaussian(1, 2, D), gaussian(1, 1, A, seed=1)
    assert torch.autograd.gradcheck(
        lambda a: model.rollout(latents, taken, a), (actions,), atol=1e-6
    )


def test_a_repeated_cache_keeps_the_candidates_of_a_row_together():
    cache = Cache((torch.arange(2.0).view(2, 1, 1, 1),), (torch.zeros(2, 1, 1, 1),))
    assert cache.repeat(3).keys[0].flatten().tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 30}, "width must be a multiple of heads=4, got 30"),
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"action_size": 0}, "action_size must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_a_spec_that_cannot_be_built_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        ActionPredictorSpec(**change)

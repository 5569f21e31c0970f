import pytest
import torch

from worldmodel.predictors import ActionPredictor, ActionPredictorSpec
from worldmodel.training.objectives.action_conditioned import (
    draw_known,
    forced_change,
    inverse_error,
    prediction_error,
    rolled_change,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_predictions_are_judged_from_true_latents_and_rolled_out():
    spec = ActionPredictorSpec(latent_dim=8, width=16, depth=1, heads=2, window=3)
    latents = torch.randn(4, 5, 8, generator=seeded(7))
    actions = torch.rand(4, 5, 5, generator=seeded(2)) * 2 - 1
    with torch.random.fork_rng(), torch.no_grad():
        predictor = ActionPredictor(spec).eval()
        forced = forced_change(predictor, latents, actions).square().mean()
        expected = set()
        for known in (1, 2, 3):  # as many as the predictor's window
            rolled = rolled_change(predictor, latents, actions, known)
            assert rolled.shape == (4, 5 - known, 8)
            expected.add((0.5 * (forced + rolled.square().mean())).item())
        found = {
            prediction_error(
                predictor, latents, actions, draw_known(predictor, 5, seeded(s))
            ).item()
            for s in range(30)
        }
    assert sorted(found) == pytest.approx(sorted(expected))


def test_inverse_dynamics_is_exact_where_latents_are_sums_of_motions():
    actions = torch.rand(4, 5, 3, generator=seeded()) * 2 - 1
    places = actions.cumsum(dim=1) - actions  # before each action
    inverse = torch.nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        inverse.weight.copy_(torch.eye(3))
        assert inverse_error(inverse, places, actions) < 1e-12
        assert inverse_error(inverse, places, -actions) > 0.1

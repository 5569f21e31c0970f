import pytest
import torch
from torch import Tensor

from worldmodel.predictors import ActionPredictorSpec, CompressorSpec
from worldmodel.predictors.objective import DynamicsWeights, LatentDynamics

COMPRESSOR = CompressorSpec(patches=4, token_dim=6, reduced=3, hidden=8, dim=8)
PREDICTOR = ActionPredictorSpec(latent_dim=8, width=16, depth=1, heads=2)


@pytest.fixture
def dynamics() -> LatentDynamics:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LatentDynamics(COMPRESSOR, PREDICTOR, DynamicsWeights())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch() -> tuple[Tensor, Tensor]:
    tokens = torch.randn(8, 5, 4, 6, generator=seeded(1))
    return tokens, torch.rand(8, 5, 5, generator=seeded(2)) * 2 - 1


def test_the_total_is_the_weighted_sum_of_the_terms(dynamics):
    terms = dynamics.loss(*batch(), seeded())
    weights = vars(dynamics.weights)
    expected = sum(weight * terms[name] for name, weight in weights.items())
    torch.testing.assert_close(terms["total"], expected)
    assert set(terms) == {"total", "std", *weights}


def test_every_part_learns(dynamics):
    dynamics.loss(*batch(), seeded())["total"].backward()
    for name, weight in dynamics.named_parameters():
        assert weight.grad is not None, name


def test_the_loss_follows_from_the_generator(dynamics):
    first, again, other = (dynamics.loss(*batch(), seeded(s)) for s in (0, 0, 3))
    assert first["total"] == again["total"]
    assert first["total"] != other["total"]


def test_windows_of_one_episode_are_told_from_those_of_others(dynamics):
    places = torch.randn(4, 1, 4, 6, generator=seeded(4)).expand(-1, 5, -1, -1)
    alike = (3 * places).repeat_interleave(2, dim=0)
    _, actions = batch()
    matched = dynamics.loss(alike, actions, seeded())["contrast"]
    rolled = dynamics.loss(alike.roll(1, 0), actions, seeded())["contrast"]
    assert matched < rolled


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must be compressor.dim=64, got 8"):
        LatentDynamics(CompressorSpec(), PREDICTOR, DynamicsWeights())

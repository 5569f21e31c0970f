from dataclasses import replace

import pytest
import torch
from torch import Tensor

from worldmodel.predictors import ActionPredictorSpec
from worldmodel.projectors.projector import ProjectorSpec
from worldmodel.training.objectives.action_conditioned import (
    Experience,
    LatentObjectives,
    ObjectiveWeights,
)

PROJECTOR = ProjectorSpec(patches=4, token_dim=6, reduced=3, hidden=8, dim=8)
PREDICTOR = ActionPredictorSpec(latent_dim=8, width=16, depth=1, heads=2)


@pytest.fixture
def dynamics() -> LatentObjectives:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LatentObjectives(PROJECTOR, PREDICTOR, ObjectiveWeights(), 3, 2, 1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures() -> Tensor:
    return torch.randn(8, 5, 4, 6, generator=seeded(1))


def batch() -> Experience:
    return Experience(
        actions=torch.rand(8, 5, 5, generator=seeded(2)) * 2 - 1,
        proprio=torch.randn(8, 5, 3, generator=seeded(3)),
        blobs=torch.rand(8, 5, 2, 4, generator=seeded(5)),
        object_positions=torch.rand(8, 5, 1, 4, generator=seeded(6)),
        episodes=torch.arange(4).repeat_interleave(2),
    )


def test_the_total_is_the_weighted_sum_of_the_terms(dynamics):
    terms = dynamics.loss(pictures(), batch(), seeded())
    weights = vars(dynamics.weights)
    expected = sum(weight * terms[name] for name, weight in weights.items())
    torch.testing.assert_close(terms["total"], expected)
    assert set(terms) == {"total", "std", "std_min", "effective_rank", *weights}


def test_every_part_learns(dynamics):
    dynamics.loss(pictures(), batch(), seeded())["total"].backward()
    for name, weight in dynamics.named_parameters():
        assert weight.grad is not None, name


def test_the_loss_follows_from_the_generator(dynamics):
    first, again, other = (
        dynamics.loss(pictures(), batch(), seeded(s)) for s in (0, 0, 3)
    )
    assert first["total"] == again["total"]
    assert first["total"] != other["total"]


def test_windows_of_one_episode_are_told_from_those_of_others(dynamics):
    places = torch.randn(4, 1, 4, 6, generator=seeded(4)).expand(-1, 5, -1, -1)
    alike = (3 * places).repeat_interleave(2, dim=0)
    matched = dynamics.loss(alike, batch(), seeded())["contrast"]
    mixed = dynamics.loss(alike.roll(1, 0), batch(), seeded())["contrast"]
    assert matched < mixed


def test_other_windows_of_an_episode_are_no_negatives(dynamics):
    one = replace(batch(), episodes=torch.zeros(8, dtype=torch.int64))
    assert dynamics.loss(pictures(), one, seeded())["contrast"] == 0
    assert dynamics.loss(pictures(), batch(), seeded())["contrast"] > 0


def test_without_a_predictor_nothing_is_predicted():
    with torch.random.fork_rng():
        model = LatentObjectives(PROJECTOR, None, ObjectiveWeights(), 3, 2, 1)
    terms = model.loss(pictures(), batch(), seeded())
    assert terms["forced"] == terms["rolled"] == 0
    assert terms["inverse"] > 0


def test_a_words_place_counts_as_far_as_it_is_trusted(dynamics):
    def error(trust: float, amount: float = 0.0, place: float = 9.0) -> Tensor:
        words = torch.tensor([0.0, place, amount, trust]).expand(8, 5, 2, 4)
        with torch.no_grad():
            return dynamics.loss(pictures(), replace(batch(), blobs=words), seeded())[
                "blobs"
            ]

    assert error(0.0) == error(0.0, place=-9.0)
    assert error(1.0) > error(0.5) > error(0.0)
    assert error(0.0, amount=9.0) > error(0.0)


def test_without_proprio_or_words_nothing_is_asked_of_them():
    with torch.random.fork_rng():
        model = LatentObjectives(PROJECTOR, PREDICTOR, ObjectiveWeights())
    silent = replace(
        batch(), proprio=torch.zeros(8, 5, 0), blobs=torch.zeros(8, 5, 0, 4)
    )
    terms = model.loss(pictures(), silent, seeded())
    assert terms["proprio"] == terms["blobs"] == 0


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must be projector.dim=64, got 8"):
        LatentObjectives(ProjectorSpec(), PREDICTOR, ObjectiveWeights())

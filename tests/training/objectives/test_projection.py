import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from worldmodel.projectors.projector import ProjectorSpec
from worldmodel.training.objectives.projection import (
    Experience,
    ProjectorObjectives,
    ProjectorWeights,
    Told,
)

PROJECTOR = ProjectorSpec(patches=4, token_dim=6, reduced=3, hidden=8, dim=8)
WEIGHTS = ProjectorWeights(
    inverse=0.5,
    contrast=0.1,
    sigreg=0.01,
    proprio=1.5,
    blobs=2.0,
    object_positions=3.0,
)
TOLD = Told(actions=5, proprio=3, blobs=2, object_positions=1)
WATCHED = {"std", "std_min", "effective_rank"}
HEADS = {  # the module that each term has to itself
    "inverse": "inverse",
    "contrast": "slow",
    "sigreg": None,
    "proprio": "proprio",
    "blobs": "blobs",
    "object_positions": "object_positions",
}


def objectives(
    weights: ProjectorWeights = WEIGHTS, told: Told = TOLD
) -> ProjectorObjectives:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ProjectorObjectives(PROJECTOR, weights, told)


@pytest.fixture
def learned() -> ProjectorObjectives:
    return objectives()


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


def test_the_total_is_the_weighted_sum_of_the_terms(learned):
    terms = learned.loss(pictures(), batch(), seeded())
    weights = asdict(WEIGHTS)
    expected = sum(weight * terms[name] for name, weight in weights.items())
    torch.testing.assert_close(terms["total"], expected)
    assert set(terms) == {"total", *WATCHED, *weights}


def test_every_part_learns(learned):
    learned.loss(pictures(), batch(), seeded())["total"].backward()
    for name, weight in learned.named_parameters():
        assert weight.grad is not None, name


@pytest.mark.parametrize("left_out", HEADS)
def test_a_term_of_weight_zero_is_left_out_with_its_head(left_out):
    model = objectives(replace(WEIGHTS, **{left_out: 0.0}))
    terms = model.loss(pictures(), batch(), seeded())
    assert set(terms) == {"total", *WATCHED, *HEADS} - {left_out}
    kept = {head for term, head in HEADS.items() if head and term != left_out}
    assert {name for name, _ in model.named_children()} == {"projector", *kept}
    terms["total"].backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name


@pytest.mark.parametrize("kind", ["proprio", "blobs", "object_positions"])
def test_nothing_is_asked_of_what_there_is_none_of(kind):
    model = objectives(told=replace(TOLD, **{kind: 0}))
    silent = replace(batch(), **{kind: getattr(batch(), kind)[:, :, :0]})
    terms = model.loss(pictures(), silent, seeded())
    assert set(terms) == {"total", *WATCHED, *HEADS} - {kind}
    assert getattr(model, kind) is None
    assert terms["total"].isfinite()


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_weight_that_is_none_is_refused(weight):
    message = f"weights.proprio must be finite and at least 0, got {weight}"
    with pytest.raises(ValueError, match=message):
        ProjectorWeights(proprio=weight)


def test_the_loss_follows_from_the_generator(learned):
    first, again, other = (
        learned.loss(pictures(), batch(), seeded(s)) for s in (0, 0, 3)
    )
    assert first["total"] == again["total"]
    assert first["total"] != other["total"]


def test_windows_of_one_episode_are_told_from_those_of_others(learned):
    places = torch.randn(4, 1, 4, 6, generator=seeded(4)).expand(-1, 5, -1, -1)
    alike = (3 * places).repeat_interleave(2, dim=0)
    matched = learned.loss(alike, batch(), seeded())["contrast"]
    mixed = learned.loss(alike.roll(1, 0), batch(), seeded())["contrast"]
    assert matched < mixed


def test_other_windows_of_an_episode_are_no_negatives(learned):
    one = replace(batch(), episodes=torch.zeros(8, dtype=torch.int64))
    assert learned.loss(pictures(), one, seeded())["contrast"] == 0
    assert learned.loss(pictures(), batch(), seeded())["contrast"] > 0


def test_a_blobs_place_counts_as_far_as_it_is_trusted(learned):
    def error(trust: float, amount: float = 0.0, place: float = 9.0) -> Tensor:
        blobs = torch.tensor([0.0, place, amount, trust]).expand(8, 5, 2, 4)
        with torch.no_grad():
            return learned.loss(pictures(), replace(batch(), blobs=blobs), seeded())[
                "blobs"
            ]

    assert error(0.0) == error(0.0, place=-9.0)
    assert error(1.0) > error(0.5) > error(0.0)
    assert error(0.0, amount=9.0) > error(0.0)

from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from worldmodel.predictors import ActionPredictor, ActionPredictorSpec
from worldmodel.projectors.projector import ProjectorSpec
from worldmodel.training.objectives.action_conditioned import (
    Experience,
    LatentObjectives,
    ObjectiveWeights,
    Told,
    draw_known,
    forced_change,
    prediction_error,
    rolled_change,
)

PROJECTOR = ProjectorSpec(patches=4, token_dim=6, reduced=3, hidden=8, dim=8)
WEIGHTS = ObjectiveWeights(
    prediction=1.0,
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
    "prediction": "predictor",
    "inverse": "inverse",
    "contrast": "slow",
    "sigreg": None,
    "proprio": "proprio",
    "blobs": "blobs",
    "object_positions": "object_positions",
}


def objectives(
    weights: ObjectiveWeights = WEIGHTS, told: Told = TOLD
) -> LatentObjectives:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LatentObjectives(PROJECTOR, weights, told)


@pytest.fixture
def dynamics() -> LatentObjectives:
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


@pytest.mark.parametrize(("moves", "size"), [(None, 5), (1, 1), (4, 4)])
def test_inverse_dynamics_tells_all_dimensions_of_an_action_or_the_first(moves, size):
    made = objectives(told=replace(TOLD, moves=moves))
    assert made.inverse is not None
    assert made.inverse.out_features == size
    before = made.loss(pictures(), batch(), seeded())["inverse"]
    for place in range(5):
        other = batch()
        other.actions[..., place] += 1
        after = made.loss(pictures(), other, seeded())["inverse"]
        assert torch.equal(before, after) == (place >= size)


@pytest.mark.parametrize("moves", [0, 6])
def test_no_more_dimensions_are_told_than_an_action_has(moves):
    with pytest.raises(ValueError, match=r"moves must be in \[1, 5\], .* got "):
        replace(TOLD, moves=moves)


def test_the_total_is_the_weighted_sum_of_the_terms(dynamics):
    terms = dynamics.loss(pictures(), batch(), seeded())
    weights = asdict(WEIGHTS)
    expected = sum(weight * terms[name] for name, weight in weights.items())
    torch.testing.assert_close(terms["total"], expected)
    assert set(terms) == {"total", *WATCHED, *weights}


def test_every_part_learns(dynamics):
    dynamics.loss(pictures(), batch(), seeded())["total"].backward()
    for name, weight in dynamics.named_parameters():
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


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ValueError, match="weights.proprio must be at least 0, got -1"):
        ObjectiveWeights(proprio=-1.0)


def test_predictions_are_judged_from_true_latents_and_rolled_out():
    spec = ActionPredictorSpec(latent_dim=8, width=16, depth=1, heads=2, window=3)
    latents = torch.randn(4, 5, 8, generator=seeded(7))
    actions = batch().actions[:4]
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


def test_a_blobs_place_counts_as_far_as_it_is_trusted(dynamics):
    def error(trust: float, amount: float = 0.0, place: float = 9.0) -> Tensor:
        blobs = torch.tensor([0.0, place, amount, trust]).expand(8, 5, 2, 4)
        with torch.no_grad():
            return dynamics.loss(pictures(), replace(batch(), blobs=blobs), seeded())[
                "blobs"
            ]

    assert error(0.0) == error(0.0, place=-9.0)
    assert error(1.0) > error(0.5) > error(0.0)
    assert error(0.0, amount=9.0) > error(0.0)

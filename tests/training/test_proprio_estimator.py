from pathlib import Path

import pytest
import torch

from tests.training.toy import PROJECTOR, Killed, kill_at, seeded, toy_tokens
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.projectors.projector import Projector
from worldmodel.training.loop import OnStep, Schedule, fit
from worldmodel.training.proprio import standardised_proprio
from worldmodel.training.proprio_estimator import (
    ProprioEstimatorRecipe,
    even_weights,
    proprio_estimator_job,
)

TOKENS = toy_tokens()
FELT = standardised_proprio(TOKENS.frames, 2)
RECIPE = ProprioEstimatorRecipe(reduced=4, hidden=16, batch=64)


def trained(
    steps: int, path: Path | None = None, on_step: OnStep | None = None
) -> Projector:
    schedule = Schedule(steps, learning_rate=1e-2, warmup=10, save_every=0.0)
    training = seeded(schedule, path, on_step)
    estimator = Projector(RECIPE.spec(PROJECTOR, 2))
    job = proprio_estimator_job(RECIPE, estimator, TOKENS, FELT, training.generator)
    fit({"proprio_estimator": job}, training)
    return estimator


def test_it_reads_what_was_felt():
    estimator = trained(300)
    with torch.no_grad():
        told = estimator(TOKENS.at(torch.arange(len(FELT))).float())
    assert (told - FELT).square().mean().sqrt() < 0.1


def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(Killed):
        trained(6, path, kill_at(4))
    assert weights_hash(trained(6, path)) == weights_hash(trained(6))


def test_places_are_drawn_evenly_over_space():
    often, seldom, once = torch.zeros(80, 3), torch.ones(20, 3), torch.full((1, 3), 2.0)
    weights = even_weights(torch.cat((often, seldom, once)), cell=0.5, least=5)
    shares = [weights[:80].sum(), weights[80:100].sum(), weights[100:].sum()]
    assert [share.item() for share in shares] == pytest.approx([1.0, 1.0, 0.2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"even": 1.5}, r"even must be in \[0, 1\], got 1.5"),
        ({"huber": 0.0}, "huber must be above 0, got 0.0"),
        ({"cell": 0.0}, "cell must be above 0, got 0.0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ProprioEstimatorRecipe(**change)

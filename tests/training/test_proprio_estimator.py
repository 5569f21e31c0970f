from pathlib import Path

import pytest
import torch

from tests.training.toy import PROJECTOR, toy_tokens
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.training.loop import Schedule
from worldmodel.training.proprio import standardised_proprio
from worldmodel.training.proprio_estimator import (
    ProprioEstimatorRecipe,
    even_weights,
    train_proprio_estimator,
)
from worldmodel.training.tokens import TokenCache

CPU = torch.device("cpu")


def recipe(steps: int) -> ProprioEstimatorRecipe:
    schedule = Schedule(steps, learning_rate=1e-2, warmup=10, save_every=0.0)
    return ProprioEstimatorRecipe(schedule, reduced=4, hidden=16, batch=64)


@pytest.fixture(scope="module")
def cache() -> TokenCache:
    return toy_tokens()


def test_it_reads_what_was_felt(cache):
    felt = standardised_proprio(cache.frames, 2)
    made = recipe(300)
    proprio_estimator = train_proprio_estimator(
        made, made.spec(PROJECTOR, 2), cache, felt, CPU
    )
    with torch.no_grad():
        told = proprio_estimator(cache.at(torch.arange(len(felt))).float())
    assert (told - felt).square().mean().sqrt() < 0.1


def test_a_training_that_was_stopped_ends_as_one_that_was_not(cache, tmp_path: Path):
    felt = standardised_proprio(cache.frames, 2)
    spec, state = recipe(6).spec(PROJECTOR, 2), tmp_path / "state.safetensors"

    def stop(step: int, terms: dict[str, float]) -> None:
        if step == 4:
            raise KeyboardInterrupt

    whole = train_proprio_estimator(recipe(6), spec, cache, felt, CPU)
    with pytest.raises(KeyboardInterrupt):
        train_proprio_estimator(recipe(6), spec, cache, felt, CPU, state, stop)
    again = train_proprio_estimator(recipe(6), spec, cache, felt, CPU, state)
    assert weights_hash(again) == weights_hash(whole)


def test_places_are_drawn_evenly_over_space():
    often, seldom, once = torch.zeros(80, 3), torch.ones(20, 3), torch.full((1, 3), 2.0)
    weights = even_weights(torch.cat((often, seldom, once)), cell=0.5, least=5)
    shares = [weights[:80].sum(), weights[80:100].sum(), weights[100:].sum()]
    assert [share.item() for share in shares] == pytest.approx([1.0, 1.0, 0.2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"even": 1.5}, r"even must be in \[0, 1\], got 1.5"),
        ({"cell": 0.0}, "cell must be above 0, got 0.0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ProprioEstimatorRecipe(Schedule(1), **change)

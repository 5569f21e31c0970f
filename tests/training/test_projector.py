from pathlib import Path

import pytest
import torch

from tests.training.toy import EPISODES, PROJECTOR, Killed, kill_at, seeded, toy_tokens
from tests.training.toy import STEPS as LENGTH
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.training.loop import OnStep, Schedule, fit
from worldmodel.training.objectives.projection import (
    ProjectorObjectives,
    ProjectorWeights,
    Told,
)
from worldmodel.training.projector import ProjectorRecipe, Targets, projector_job
from worldmodel.training.proprio import standardised_proprio, training_rows

TOKENS = toy_tokens()
FELT = standardised_proprio(TOKENS.frames, 2)
BLOBS = torch.rand(EPISODES * LENGTH, 2, 4, generator=torch.Generator().manual_seed(0))
TARGETS = Targets(FELT, BLOBS, BLOBS[:, :1])
WEIGHTS = ProjectorWeights(
    inverse=1.0,
    contrast=0.1,
    sigreg=0.01,
    proprio=1.0,
    blobs=1.0,
    object_positions=1.0,
)
STEPS = 45


def trained(
    steps: int,
    path: Path | None = None,
    on_step: OnStep | None = None,
    targets: Targets = TARGETS,
) -> ProjectorObjectives:
    schedule = Schedule(steps, learning_rate=3e-3, warmup=10, save_every=0.0)
    recipe = ProjectorRecipe(schedule, WEIGHTS, pairs=8, window=4)
    training = seeded(schedule, path, on_step)
    model = ProjectorObjectives(PROJECTOR, WEIGHTS, Told(5, 2, 2, 1))
    job = projector_job(recipe, model, TOKENS, targets, training.generator)
    fit({"projector": job}, training)
    return model


def test_training_decreases_the_loss():
    seen: list[float] = []
    trained(STEPS, on_step=lambda _, terms: seen.append(terms["total"]))
    assert len(seen) == STEPS
    assert seen[-1] < 0.8 * seen[4]


def test_a_killed_training_continues_to_the_same_weights(tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(Killed):
        trained(5, path, kill_at(3))
    assert weights_hash(trained(5, path)) == weights_hash(trained(5))


def test_only_the_training_split_is_learned_from():
    held, felt, blobs = ~training_rows(TOKENS.frames), FELT.clone(), BLOBS.clone()
    felt[held] = 100.0
    blobs[held] = 100.0
    spoiled = trained(5, targets=Targets(felt, blobs, blobs[:, :1]))
    assert weights_hash(spoiled) == weights_hash(trained(5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 1}, "window must be at least 2 frames, got 1"),
        ({"pairs": 0}, "pairs must be at least 1, got 0"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        ProjectorRecipe(Schedule(1), **change)

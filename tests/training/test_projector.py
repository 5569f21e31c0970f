import pytest
import torch

from tests.training.toy import EPISODES, PROJECTOR, toy_tokens
from tests.training.toy import STEPS as LENGTH
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.training.loop import Schedule
from worldmodel.training.objectives.action_conditioned import LatentObjectives
from worldmodel.training.projector import ProjectorRecipe, Targets, train_projector
from worldmodel.training.tokens import TokenCache

CPU = torch.device("cpu")
WORDS = torch.rand(EPISODES * LENGTH, 2, 4, generator=torch.Generator().manual_seed(0))
TARGETS = Targets(WORDS, WORDS[:, :1])
STEPS = 60


@pytest.fixture(scope="module")
def cache() -> TokenCache:
    return toy_tokens()


def recipe(steps: int) -> ProjectorRecipe:
    schedule = Schedule(steps, learning_rate=3e-3, warmup=10, save_every=0.0)
    return ProjectorRecipe(schedule, PROJECTOR, pairs=8, window=4, proprio=2)


@pytest.fixture(scope="module")
def trained(cache: TokenCache) -> tuple[LatentObjectives, list[float]]:
    seen: list[float] = []
    model = train_projector(
        recipe(STEPS),
        cache,
        TARGETS,
        CPU,
        on_step=lambda _, terms: seen.append(terms["total"]),
    )
    return model, seen


def test_training_decreases_the_loss(trained):
    _, seen = trained
    assert len(seen) == STEPS
    assert seen[-1] < 0.8 * seen[4]


def test_a_killed_training_continues_to_the_same_weights(cache, tmp_path):
    def kill(step: int, _: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_projector(recipe(5), cache, TARGETS, CPU, path, kill)
    resumed = train_projector(recipe(5), cache, TARGETS, CPU, path)
    whole = train_projector(recipe(5), cache, TARGETS, CPU)
    assert weights_hash(resumed) == weights_hash(whole)


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

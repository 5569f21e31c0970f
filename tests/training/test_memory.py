import pytest
import torch

from worldmodel.errors import WorldModelError
from worldmodel.memory import Memory
from worldmodel.predictors import ActionPredictor, ActionPredictorSpec
from worldmodel.training.latents import LatentEpisodes
from worldmodel.training.loop import Schedule
from worldmodel.training.memory import MemoryRecipe, Play, believe, train_memory

DIM, EPISODES, STEPS = 4, 60, 12
RECIPE = MemoryRecipe(
    Schedule(150, learning_rate=1e-2, warmup=10), hidden=16, windows=32, window=6
)


def predictor() -> ActionPredictor:
    """It expects that nothing changes, which is right in this world."""
    made = ActionPredictor(ActionPredictorSpec(DIM, width=8, depth=1, heads=2))
    with torch.no_grad():
        made.leave.weight.zero_()
    return made.requires_grad_(False).eval()


def play() -> Play:
    """Things at rest; where the second number is 1, one is hidden and misplaced."""
    generator = torch.Generator().manual_seed(0)
    rest = torch.randn(EPISODES, 1, 1, generator=generator).expand(-1, STEPS, 1)
    hidden = (torch.rand(EPISODES, STEPS, 1, generator=generator) < 0.3).float()
    hidden[:, 0] = 0.0
    others = torch.randn(EPISODES, STEPS, 2, generator=generator)
    truth = torch.cat((rest, hidden, others), dim=-1)
    seen = torch.cat((rest + 2.0 * hidden, hidden, others), dim=-1)
    rows = torch.arange(EPISODES * STEPS)
    first, last = rows - rows % STEPS, rows - rows % STEPS + STEPS - 1
    made = [
        LatentEpisodes(latents.flatten(0, 1), first, last, rows[rows < last])
        for latents in (seen, truth)
    ]
    return Play(made[0], made[1], torch.zeros(len(rows), 5))


def test_what_is_hidden_is_remembered_where_it_was():
    lessons = play()
    memory = Memory.of(torch.eye(DIM), 1, hidden=16)
    train_memory(RECIPE, memory, predictor(), lessons)
    seen = lessons.seen.latents.view(EPISODES, STEPS, DIM)
    truth = lessons.settled.latents.view(EPISODES, STEPS, DIM)
    with torch.no_grad():
        beliefs = believe(memory, predictor(), seen, torch.zeros(EPISODES, STEPS, 5))
    wrong = (seen - truth)[..., 0].abs().mean()
    assert (beliefs - truth)[..., 0].abs().mean() < 0.15 * wrong
    assert torch.equal(beliefs[:, 0], seen[:, 0])
    torch.testing.assert_close(beliefs[..., 1:], seen[..., 1:])


def test_a_resumed_training_ends_bitwise_where_an_unbroken_one_does(tmp_path):
    whole = Memory.of(torch.eye(DIM), 1, hidden=16)
    broken = Memory.of(torch.eye(DIM), 1, hidden=16)
    broken.load_state_dict(whole.state_dict())
    path = tmp_path / "memory.safetensors"
    short = MemoryRecipe(Schedule(4, save_every=0.0), hidden=16, windows=8, window=4)
    train_memory(short, whole, predictor(), play())

    def stop(step: int, terms: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_memory(short, broken, predictor(), play(), path, stop)
    train_memory(short, broken, predictor(), play(), path)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, broken.state_dict()[name]), name


def test_a_window_longer_than_every_episode_is_refused():
    long = MemoryRecipe(Schedule(1), window=STEPS + 1)
    with pytest.raises(WorldModelError, match=r"memory.window is 13 moments.*shorter"):
        train_memory(long, Memory.of(torch.eye(DIM), 1), predictor(), play())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alike": -0.1}, "alike must be at least 0, got -0.1"),
        ({"within": 0}, "within must be at least 1, got 0"),
        ({"windows": 0}, "windows must be at least 1, got 0"),
        ({"window": 1}, "window must be at least 2 moments, got 1"),
    ],
)
def test_bad_recipes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        MemoryRecipe(Schedule(1), **change)

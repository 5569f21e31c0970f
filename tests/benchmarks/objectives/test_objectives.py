from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.encoders.rows import ROWS
from benchmarks.objectives import dino, mae, vicreg
from benchmarks.objectives.learner import Learner, Play
from tests.training.toy import ENCODER, Killed, kill_at, toy_frames
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.encoders import VideoViT
from worldmodel.training.collapse import latent_stats
from worldmodel.training.loop import Schedule, Training, fit

FRAMES = toy_frames()
LEARNERS = {name: row.learner for name, row in ROWS.items() if row.learner}
QUICK = Schedule(30, 6e-3, warmup=3)


def play(moments: int = 24) -> Play:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    return Play(FRAMES, ENCODER, generator, torch.device("cpu"), moments)


def trained(
    learner: Learner, some: Play, schedule: Schedule, path: Path | None = None
) -> list[float]:
    losses: list[float] = []
    before: list[float] = [0.0]

    def on_step(step: int, terms: dict[str, float]) -> None:
        keep = min(0.98, 1 - 1 / step)  # undoes the running mean
        losses.append((terms["total"] - keep * before[0]) / (1 - keep))
        before[0] = terms["total"]

    fit({"pretrain": learner.job}, Training(schedule, some.generator, path, on_step))
    return losses


def seen(encoder: VideoViT) -> Tensor:
    frames = torch.from_numpy(FRAMES.frames)
    return encoder.tokens(torch.stack((frames[:-1], frames[1:]), dim=1)[::2]).detach()


@pytest.mark.parametrize("name", LEARNERS)
def test_an_objective_learns_and_does_not_collapse(name):
    some = play()
    learner = LEARNERS[name](some)
    fresh = latent_stats(seen(learner.encoder))
    losses = trained(learner, some, QUICK)
    assert sum(losses[-6:]) < 0.93 * sum(losses[:6])
    after = latent_stats(seen(learner.encoder))
    assert after.std > 0.3 * fresh.std
    assert after.effective_rank > 0.5 * fresh.effective_rank


@pytest.mark.parametrize("name", LEARNERS)
def test_a_killed_objective_goes_on_to_the_same_weights(name, tmp_path):
    schedule = Schedule(3, save_every=0.0)
    hashes = []
    for path in (None, tmp_path / "state.safetensors"):
        if path is not None:
            some = play(8)
            job = LEARNERS[name](some).job
            with pytest.raises(Killed):
                fit({"a": job}, Training(schedule, some.generator, path, kill_at(2)))
        some = play(8)
        learner = LEARNERS[name](some)
        fit({"a": learner.job}, Training(schedule, some.generator, path))
        hashes.append(weights_hash(learner.job.module))
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("name", LEARNERS)
def test_an_objective_encodes_what_it_is_told_and_keeps_what_actions_predict(name):
    learner = LEARNERS[name](play(256))
    assert 0.8 * 256 <= learner.moments <= 256
    is_predicted = name in ("action", "end-to-end", "video-jepa")
    assert (learner.projector is not None) == is_predicted


def test_without_its_variance_vicreg_collapses():
    model, some = vicreg.VICReg(ENCODER), play()
    draw = some.drawer(16)

    def embedded() -> Tensor:
        return model.projector(model.encoder.tokens(draw()))

    before = embedded().std(0).mean()
    model.variance = 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        moments = draw()
        views = torch.cat((some.views(moments), some.views(moments)))
        optimizer.zero_grad()
        model.loss(views)["total"].backward()
        optimizer.step()
    assert embedded().std(0).mean() < 0.1 * before


def test_covariances_are_those_of_different_dimensions():
    column = torch.tensor([-1.0, 0.0, 1.0])[:, None]
    assert vicreg.off_diagonal(torch.cat((column, 2 * column), 1)) == pytest.approx(4.0)
    apart = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert vicreg.off_diagonal(apart) == 0.0


def test_pixels_to_be_told_are_those_of_the_hidden_patches():
    masks = mae.random_masks(5, 36, torch.Generator().manual_seed(0))
    assert masks.context.shape == (5, 9)
    both = torch.cat((masks.context, masks.target), dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(36).expand(5, -1))
    flat, steps = torch.full((1, 8), 7.0), torch.tensor([[0.0, 10.0] * 4])
    assert torch.equal(mae.normalised(flat), torch.zeros(1, 8))
    assert mae.normalised(steps).abs().max() == pytest.approx(5 / 6)


def test_a_local_crop_sees_nothing_of_the_rest():
    torch.manual_seed(0)
    network = dino.Network(ENCODER).eval()
    moments = torch.zeros(1, 2, 16, 16, 3, dtype=torch.uint8)
    other = moments.clone()
    other[:, :, :, 8:] = 255
    left, right = torch.tensor([[0, 2]]), torch.tensor([[1, 3]])
    assert torch.equal(network(moments, left), network(other, left))
    assert not torch.equal(network(moments, right), network(other, right))

import dataclasses

import pytest
import torch
from torch import nn

from worldmodel.encoders import VideoViT, VideoViTSpec
from worldmodel.training.objectives.masking import LaterMasks, Masks, TubeMasks
from worldmodel.training.objectives.target_weights import motion
from worldmodel.training.objectives.vjepa import (
    LatentPredictor,
    LatentPredictorSpec,
    LossTerms,
    MaskedPrediction,
    Objective,
    ema_update,
    normalised_target,
)

SPEC = VideoViTSpec(height=36, width=36, dim=24, depth=1, heads=2, cell_dim=8)
NARROW = LatentPredictorSpec(dim=12, depth=1, heads=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(objective: Objective) -> MaskedPrediction:
    generator = seeded()
    online = VideoViT(SPEC, generator)
    return MaskedPrediction(
        online, LatentPredictor(NARROW, SPEC.dim, generator), objective
    )


def clips(batch: int = 6, time: int = 4) -> torch.Tensor:
    shape = (batch, time, SPEC.height, SPEC.width, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded(5))


def masked_loss(
    trained: MaskedPrediction, video: torch.Tensor, generator: torch.Generator
) -> LossTerms:
    return trained.loss(video, trained.draw_masks(video, generator))


def test_ema_closed_form():
    online, target = nn.Linear(3, 2), nn.Linear(3, 2)
    start, goal = target.weight.detach().clone(), online.weight.detach().clone()
    for _ in range(5):
        ema_update(target, online, momentum=0.9)
    torch.testing.assert_close(target.weight.detach(), goal + 0.9**5 * (start - goal))
    ema_update(target, online, momentum=0.0)
    torch.testing.assert_close(target.weight, online.weight)
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\], got 1.1"):
        ema_update(target, online, momentum=1.1)


def test_only_the_online_encoder_and_the_predictor_learn():
    trained = model(Objective(TubeMasks()))
    masked_loss(trained, clips(), seeded()).prediction.backward()
    assert all(weight.grad is None for weight in trained.target.parameters())
    for part in (trained.online, trained.predictor):
        for name, weight in part.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.abs().sum() > 0, name


def test_the_loss_is_the_mean_absolute_error_in_normalised_target_space():
    trained = model(Objective(TubeMasks(hidden=0.5)))
    with torch.no_grad():
        trained.predictor.leave.weight.zero_()
        trained.predictor.leave.bias.fill_(0.25)
        trained.target.transformer.norm.weight[:12] = 3.0
    terms = masked_loss(trained, clips(), seeded(3))
    masks = TubeMasks(hidden=0.5).sample(6, SPEC.grid(4), seeded(3))
    with torch.no_grad():
        whole = trained.target.tokens(clips())
    index = masks.target[..., None].expand(-1, -1, SPEC.dim)
    goal = normalised_target(whole.gather(1, index))
    torch.testing.assert_close(terms.prediction, (goal - 0.25).abs().mean())


def test_target_space_has_zero_mean_and_unit_variance_per_token():
    goal = normalised_target(5.0 + 3.0 * torch.randn(4, 7, 24, generator=seeded()))
    torch.testing.assert_close(goal.mean(-1), torch.zeros(4, 7), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        goal.var(-1, correction=0), torch.ones(4, 7), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("masks", [TubeMasks(targets=8), LaterMasks()])
def test_training_predicts_better(masks):
    trained = model(Objective(masks, weights=motion))
    learning = [weight for weight in trained.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=3e-3)
    generator, video = seeded(1), clips()

    def step() -> float:
        terms = masked_loss(trained, video, generator)
        optimizer.zero_grad()
        terms.prediction.backward()
        optimizer.step()
        ema_update(trained.target, trained.online, 0.99)
        return terms.prediction.item()

    losses = [step() for _ in range(40)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_target_std_shows_a_collapse_that_the_loss_hides():
    trained = model(Objective(TubeMasks()))
    healthy = masked_loss(trained, clips(), seeded())
    with torch.no_grad():
        trained.target.transformer.norm.weight.mul_(1e-3)
    collapsed = masked_loss(trained, clips(), seeded())
    assert healthy.target_std > 0.2
    assert collapsed.target_std < 2e-3 * healthy.target_std
    assert collapsed.prediction > 0.5


def test_a_prediction_depends_on_where_it_is_asked_for():
    predictor = LatentPredictor(NARROW, SPEC.dim, seeded())
    context = torch.randn(1, 2, SPEC.dim, generator=seeded(1))
    masks = Masks(torch.tensor([[0, 1]]), torch.tensor([[4, 8]]))
    here = predictor(context, masks, SPEC.grid(4))
    swapped = Masks(masks.context, masks.target.flip(1))
    there = predictor(context, swapped, SPEC.grid(4))
    torch.testing.assert_close(here, there.flip(1), rtol=0, atol=1e-5)
    assert (here[:, 0] - here[:, 1]).abs().max() > 1e-3


def test_the_loss_follows_from_the_generator():
    trained = model(Objective(TubeMasks()))
    first, again, other = (masked_loss(trained, clips(), seeded(s)) for s in (0, 0, 1))
    assert first.prediction == again.prediction
    assert first.prediction != other.prediction


def test_bfloat16_autocast_keeps_the_terms_in_float32():
    trained = model(Objective(TubeMasks()))
    with torch.autocast("cpu", torch.bfloat16):
        terms = masked_loss(trained, clips(), seeded())
    terms.prediction.backward()
    for field in dataclasses.fields(terms):
        assert getattr(terms, field.name).dtype == torch.float32
    exact = masked_loss(trained, clips(), seeded())
    torch.testing.assert_close(terms.prediction, exact.prediction, rtol=0.05, atol=0.0)

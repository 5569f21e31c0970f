import pytest
import torch
from torch import nn

from worldmodel.projectors.proprio_correction import ProprioCorrection

D, S = 6, 2


def some_anchor() -> ProprioCorrection:
    torch.manual_seed(0)
    return ProprioCorrection.of(
        nn.Linear(D, S),
        mean=torch.tensor([1.0, 2.0]),
        std=torch.tensor([0.5, 4.0]),
        others=torch.randn(2, D),
    )


def test_an_anchored_latent_tells_what_was_measured_and_little_else_changes():
    torch.manual_seed(0)
    tell, others = nn.Linear(D, S), torch.randn(2, D)
    mean, std = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 4.0])
    proprio_correction = ProprioCorrection.of(tell, mean, std, others)
    latents, proprio = torch.randn(3, 4, D), torch.randn(3, 4, S + 1)
    found = proprio_correction(latents, proprio)
    told = tell(found) * std + mean
    torch.testing.assert_close(told, proprio[..., :S], atol=1e-4, rtol=1e-4)
    change = found - latents
    still = torch.zeros(3, 4, 2)
    torch.testing.assert_close(change @ others.T, still, atol=1e-5, rtol=0)
    # Of all changes that do this it is the smallest: in the span of what is asked.
    rows = torch.cat((others, tell.weight))
    away = change - change @ torch.linalg.pinv(rows) @ rows
    torch.testing.assert_close(away, torch.zeros(3, 4, D), atol=1e-4, rtol=0)
    torch.testing.assert_close(proprio_correction(found, proprio), found)


def test_a_dimension_that_never_changed_is_told_as_its_mean():
    tell = nn.Linear(D, S)
    std = torch.tensor([0.5, torch.inf])
    proprio_correction = ProprioCorrection.of(tell, torch.zeros(S), std)
    found = proprio_correction(torch.randn(3, D), torch.full((3, S), 7.0))
    torch.testing.assert_close(tell(found)[:, 1], torch.zeros(3), atol=1e-5, rtol=0)


def test_an_anchor_of_nothing_is_refused():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        ProprioCorrection(D, 0)

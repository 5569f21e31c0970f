import math

import pytest
import torch

from worldmodel.training.collapse import effective_rank, latent_stats


def with_spectrum(singular: list[float], samples: int = 40) -> torch.Tensor:
    """Centred latents (samples, 6) with these singular values, and an offset."""
    generator = torch.Generator().manual_seed(0)
    count = len(singular)
    left = torch.randn(samples, count, generator=generator, dtype=torch.float64)
    left = torch.linalg.qr(left - left.mean(0)).Q
    right = torch.linalg.qr(torch.randn(6, 6, generator=generator).double()).Q
    return left * torch.tensor(singular).double() @ right[:count] + 3.0


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_effective_rank_of_a_flat_spectrum_is_the_rank(rank: int):
    value = effective_rank(with_spectrum([2.0] * rank))
    assert value.item() == pytest.approx(rank, rel=1e-6)


def test_effective_rank_is_the_exponential_of_the_entropy():
    shares = [0.7, 0.2, 0.1]
    entropy = -sum(share * math.log(share) for share in shares)
    value = effective_rank(with_spectrum([10 * share for share in shares]))
    assert value.item() == pytest.approx(math.exp(entropy), rel=1e-6)


def test_constant_latents_have_rank_zero():
    constant = torch.full((20, 6), 0.1)
    assert effective_rank(constant).item() == 0.0


def test_stats_are_taken_per_position():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(400, 3, 6, generator=generator)
    latents = latents * torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.1])
    apart = latents + 100.0 * torch.arange(3.0)[:, None]
    for stats in (latent_stats(latents), latent_stats(apart)):
        assert stats.std == pytest.approx(5.1 / 6, rel=0.03)
        assert stats.std_min == pytest.approx(0.1, rel=0.06)
        assert 5.0 < stats.effective_rank < 5.6
    collapsed = latent_stats(apart[:1].expand(400, -1, -1))
    assert (collapsed.effective_rank, collapsed.std) == (0.0, 0.0)


def test_stats_need_two_samples():
    with pytest.raises(ValueError, match="n at least 2, got"):
        latent_stats(torch.zeros(1, 3, 6))

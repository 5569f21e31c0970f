import pytest
import torch

from worldmodel.training.objectives.temporal_contrast import (
    TemporalContrast,
    distances,
)


def test_distances_are_euclidean():
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(5, 3, generator=generator)
    other = torch.randn(4, 3, generator=generator)
    wanted = torch.cdist(one, other)
    torch.testing.assert_close(distances(one, other), wanted, atol=1e-3, rtol=1e-3)


def test_equal_moments_have_a_finite_gradient():
    contrast = TemporalContrast(3, 2)
    same = torch.ones(4, 3, requires_grad=True)
    contrast.loss(same, same, torch.arange(4)).backward()
    assert same.grad is not None
    assert same.grad.isfinite().all()


def test_it_finds_what_stays_over_time():
    """One direction stays within an episode, the others are noise."""
    generator = torch.Generator().manual_seed(0)
    contrast = TemporalContrast(4, 1)
    optimizer = torch.optim.Adam(contrast.parameters(), 0.05)
    for _ in range(200):
        place = torch.randn(64, 1, generator=generator)
        noise = torch.randn(2, 64, 3, generator=generator)
        now, later = (torch.cat((place, part), dim=1) for part in noise)
        loss = contrast.loss(now, later, torch.arange(64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weight = contrast.features.weight[0].abs()
    assert weight[0] > 5 * weight[1:].max()


def test_other_pairs_of_an_episode_are_no_negatives():
    contrast = TemporalContrast(2, 2)
    latents = torch.eye(2)
    one_episode = contrast.loss(latents, latents, torch.zeros(2, dtype=torch.int64))
    assert float(one_episode.detach()) == pytest.approx(0.0, abs=1e-6)
    two = contrast.loss(latents, latents, torch.arange(2))
    assert float(two.detach()) > 0.05

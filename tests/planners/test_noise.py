"""The noise is a pure function of its counters, and it is normal."""

import pytest
import torch

from planners.noise import correlate, fold, normal

SEEDS = torch.tensor([0, 1, 7, -3, 2**62], dtype=torch.int64)
GOLDEN_SEEDS = [1961750202426094747, -5790706817507071694]
GOLDEN_NOISE = [  # multiples of 2^-20, so these decimals are exact
    [
        [-0.17606258392333984, 0.7586803436279297, 0.19275283813476562],
        [0.47060298919677734, 0.9852352142333984, -0.7929439544677734],
        [0.40912342071533203, -0.45926761627197266, -0.040305137634277344],
    ],
    [
        [0.5340051651000977, -0.9294109344482422, 1.0324430465698242],
        [0.23065757751464844, -0.672642707824707, 0.2728242874145508],
        [0.5675687789916992, -2.671420097351074, 0.2005910873413086],
    ],
]


def _correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_noise_keeps_its_golden_values():
    seeds = fold(torch.tensor([0, 123]), 4)
    assert seeds.tolist() == GOLDEN_SEEDS
    noise = normal(seeds, 2, range(3), horizon=1, action_size=3)
    assert noise.dtype == torch.float32
    assert noise[:, :, 0].tolist() == GOLDEN_NOISE


def test_noise_does_not_depend_on_the_batch_or_the_place_in_it():
    together = normal(SEEDS, 1, range(50), 4, 3)
    order = torch.tensor([3, 0, 4, 2, 1])
    assert torch.equal(normal(SEEDS[order], 1, range(50), 4, 3), together[order])
    for problem in range(len(SEEDS)):
        alone = normal(SEEDS[problem : problem + 1], 1, range(50), 4, 3)
        assert torch.equal(alone[0], together[problem])


def test_noise_of_a_chunk_is_the_chunk_of_the_noise():
    whole = normal(SEEDS, 0, range(100), 4, 3)
    assert torch.equal(normal(SEEDS, 0, range(30), 4, 3), whole[:, :30])
    assert torch.equal(normal(SEEDS, 0, range(30, 77), 4, 3), whole[:, 30:77])


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_a_longer_horizon_and_more_dimensions_begin_with_the_same_noise(correlation):
    large = correlate(normal(SEEDS, 0, range(20), 13, 6), correlation)
    small = correlate(normal(SEEDS, 0, range(20), 5, 3), correlation)
    assert torch.equal(small, large[:, :, :5, :3])


def test_every_counter_changes_the_noise():
    base = normal(SEEDS[:1], 0, range(200), 6, 5)
    others = [
        normal(SEEDS[1:2], 0, range(200), 6, 5),
        normal(fold(SEEDS[:1], 0), 0, range(200), 6, 5),
        normal(fold(SEEDS[:1], 1), 0, range(200), 6, 5),
        normal(SEEDS[:1], 1, range(200), 6, 5),
        normal(SEEDS[:1], 0, range(200, 400), 6, 5),
    ]
    for noise in others:
        assert abs(_correlation(base, noise)) < 0.05  # 4 standard errors


def test_noise_has_the_moments_of_a_normal_distribution():
    noise = normal(torch.arange(20), 3, range(500), 10, 5).double().flatten()
    assert abs(noise.mean()) < 0.006  # 4 standard errors of 500 000 values
    assert abs(noise.var() - 1) < 0.008
    assert abs((noise**3).mean()) < 0.022
    assert abs((noise**4).mean() - 3) < 0.056
    assert 4.2 < noise.abs().max() < 4.4


def test_noise_is_uniform_under_its_distribution_function():
    noise = normal(torch.arange(20), 0, range(500), 10, 5).double().flatten()
    counts = torch.histc(torch.special.ndtr(noise), bins=100, min=0, max=1)
    expected = noise.numel() / 100
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert 50 < chi_squared < 155  # 99 degrees of freedom


@pytest.mark.parametrize("dimension", [0, 1, 2, 3])
def test_neighbours_in_every_dimension_are_uncorrelated(dimension):
    noise = normal(torch.arange(20), 0, range(500), 10, 5)
    size = noise.shape[dimension]
    one = noise.narrow(dimension, 0, size - 1)
    other = noise.narrow(dimension, 1, size - 1)
    assert abs(_correlation(one, other)) < 0.007
    assert abs(_correlation(one**2, other**2)) < 0.007


def test_neighbouring_bits_of_a_word_are_uncorrelated():
    # Dimensions 0 and 1 are the two halves of one 32-bit word.
    noise = normal(torch.arange(10), 0, range(1000), 4, 2)
    signs = (noise > 0).double()
    assert abs(_correlation(signs[..., 0], signs[..., 1])) < 0.02


def test_correlated_noise_is_a_stationary_autoregression():
    noise = correlate(normal(torch.arange(10), 0, range(1000), 12, 4), 0.6).double()
    deviations = noise.std(dim=(0, 1, 3))  # (H,)
    torch.testing.assert_close(
        deviations, torch.ones(12, dtype=torch.float64), atol=0.015, rtol=0
    )
    for lag in (1, 2, 3):
        measured = _correlation(noise[:, :, lag:], noise[:, :, :-lag])
        assert measured == pytest.approx(0.6**lag, abs=0.01)


def test_correlated_noise_is_that_of_the_recurrence():
    white = normal(SEEDS, 0, range(8), 9, 3).double()
    steps = [white[:, :, 0]]
    for step in range(1, 9):
        steps.append(0.3 * steps[-1] + (1 - 0.3**2) ** 0.5 * white[:, :, step])
    torch.testing.assert_close(correlate(white, 0.3), torch.stack(steps, dim=2))

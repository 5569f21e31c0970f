import math

import pytest
import torch

from worldmodel.training.objectives.sigreg import (
    SIGReg,
    epps_pulley,
    random_directions,
)

SAMPLES, DIM = 512, 16


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(1))


def test_epps_pulley_matches_its_definition():
    x = gaussian(50, 3).double() * 1.7 + 0.4
    t = torch.linspace(0, 3, 17, dtype=torch.float64)
    empirical = torch.exp(1j * x[..., None] * t).mean(0)  # (S, points)
    normal = torch.exp(-(t**2) / 2)
    integrand = (empirical - normal).abs().square() * normal
    expected = 2 * 50 * torch.trapezoid(integrand, t)
    torch.testing.assert_close(epps_pulley(x), expected)


def test_sigreg_of_a_gaussian_is_its_known_expectation():
    value = SIGReg(directions=256)(gaussian(8, SAMPLES, DIM), seeded()).item()
    expected = math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3))  # 1.06 at any n
    assert value == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    "name", ["collapsed", "shifted", "narrow", "wide", "one_dimension", "bimodal"]
)
def test_sigreg_is_large_for_anything_else(name: str):
    normal = gaussian(SAMPLES, DIM)
    latents = {
        "collapsed": torch.zeros(SAMPLES, DIM),
        "shifted": normal + 0.5,
        "narrow": normal * 0.5,
        "wide": normal * 2.0,
        "one_dimension": normal[:, :1] * torch.ones(DIM),
        "bimodal": normal.sign()[:, :1] * torch.ones(DIM),
    }[name]
    assert SIGReg(directions=256)(latents, seeded()) > 8.0


def test_sigreg_tells_uniform_and_bimodal_from_normal_in_one_dimension():
    samples = 4096
    uniform = (torch.rand(samples, 1, generator=seeded()) - 0.5) * math.sqrt(12)
    bimodal = gaussian(samples, 1).sign()
    for latents in (uniform, bimodal):
        assert latents.std() == pytest.approx(1.0, abs=0.02)
        assert SIGReg()(latents, seeded()) > 10.0
    assert SIGReg()(gaussian(samples, 1), seeded()) < 5.0


def test_gradient_descent_pushes_a_collapsed_batch_apart():
    regularizer = SIGReg()
    latents = (1e-2 * gaussian(64, 8) + 0.5).requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=0.02)
    generator = seeded(3)
    for _ in range(150):
        optimizer.zero_grad()
        regularizer(latents, generator).backward()
        optimizer.step()
    spread = latents.detach().std(dim=0)
    assert spread.min() > 0.7
    correlation = torch.corrcoef(latents.detach().T) - torch.eye(8)
    assert correlation.abs().max() < 0.5


def test_sigreg_follows_from_the_generator():
    latents = gaussian(64, DIM).exp()
    first, again, other = (SIGReg()(latents, seeded(s)) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_directions_have_unit_length():
    directions = random_directions(DIM, 10, seeded())
    torch.testing.assert_close(directions.norm(dim=0), torch.ones(10))


def test_half_precision_latents_are_measured_in_float32():
    latents = gaussian(64, DIM).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        rough = SIGReg()(latents, seeded())
    assert torch.equal(rough, SIGReg()(latents.float(), seeded()))


def test_a_single_sample_is_refused():
    with pytest.raises(ValueError, match="n at least 2"):
        SIGReg()(torch.zeros(4, 1, DIM), seeded())
    with pytest.raises(ValueError, match="points must be at least 2, got 1"):
        SIGReg(points=1)

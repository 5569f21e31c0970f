"""SIGReg: keeps latents from collapsing (LeJEPA, Balestriero & LeCun 2025).

It takes latents (n, D), or (P, n, D) for n samples at each of P positions. The
statistics are then taken per position and averaged: across positions a collapsed
encoder still varies, because the table differs from place to place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class SIGReg:
    """Pushes latents to an isotropic Gaussian N(0, 1) along random directions.

    LeJEPA (Balestriero & LeCun 2025): the Epps-Pulley statistic of each sketched
    direction, n * integral of |phi_n(t) - exp(-t^2 / 2)|^2 w(t) dt with phi_n the
    empirical characteristic function and w(t) = exp(-t^2 / 2), averaged over
    directions and positions. The integral is over [-limit, limit], by the trapezoid
    rule on [0, limit] (the integrand is even).

    Attributes:
        directions: random unit directions, drawn anew at each call.
        points: quadrature points in [0, limit].
        limit: end of the integral.
    """

    directions: int = 64
    points: int = 9
    limit: float = 3.0

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise ValueError(f"directions must be at least 1, got {self.directions}")
        if self.points < 2:
            raise ValueError(f"points must be at least 2, got {self.points}")

    def __call__(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """Statistic of latents: about 1 for N(0, 1), grows with n for anything else."""
        drawn = random_directions(latents.shape[-1], self.directions, generator)
        return self.along(latents, drawn)

    def along(self, latents: Tensor, directions: Tensor) -> Tensor:
        """The same along given directions (D, n)."""
        latents = _checked(latents)
        with torch.autocast(latents.device.type, enabled=False):
            sketch = latents @ directions.to(latents)  # (P, n, directions)
        return epps_pulley(sketch, self.points, self.limit).mean()


def random_directions(dim: int, count: int, generator: torch.Generator) -> Tensor:
    """Unit vectors (dim, count), uniform on the sphere."""
    normal = torch.randn(dim, count, generator=generator, device=generator.device)
    return F.normalize(normal, dim=0)


def epps_pulley(x: Tensor, points: int = 17, limit: float = 3.0) -> Tensor:
    """Epps-Pulley statistic against N(0, 1) over axis -2: (..., n, S) -> (..., S).

    For n samples of N(0, 1) its mean is sqrt(2 pi) (1 - 1 / sqrt(3)) = 1.06, less the
    tails beyond `limit`.
    """
    samples = x.shape[-2]
    step = limit / (points - 1)
    cos, sin = torch.cos(step * x), torch.sin(step * x)
    real, imaginary = torch.ones_like(cos), torch.zeros_like(sin)
    total = torch.zeros_like(x.select(-2, 0))
    for point in range(1, points):  # the integrand is 0 at t = 0
        real, imaginary = real * cos - imaginary * sin, real * sin + imaginary * cos
        gaussian = math.exp(-0.5 * (point * step) ** 2)
        error = (real.mean(-2) - gaussian).square() + imaginary.mean(-2).square()
        half = 0.5 if point == points - 1 else 1.0
        total = total + 2.0 * step * half * gaussian * error
    return samples * total


def _checked(latents: Tensor) -> Tensor:
    """Latents as float32 (P, n, D); statistics in half precision would be noise."""
    if latents.dim() not in (2, 3) or latents.shape[-2] < 2:
        raise ValueError(
            f"latents must be (n, D) or (P, n, D) with n at least 2, "
            f"got {tuple(latents.shape)}"
        )
    return latents.float() if latents.dim() == 3 else latents.float()[None]

"""Normal noise that is a pure function of its counters, the same on every device.

A number depends on the problem's seed, the iteration, the candidate, the step and the
dimension, and on nothing else: not on the batch, the place in it, or how many
candidates are drawn at once. Only integer operations and one table are used: no
logarithm or cosine, whose last bit differs between devices.
"""

from functools import lru_cache

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_64 = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # splitmix64's finaliser
_MIX_32 = (0x85EBCA6B, 0xC2B2AE35)  # murmur3's finaliser
_ITERATION_STRIDE = 1 << 32  # room for 2^32 candidates in an iteration
_STEP_STRIDE = 1 << 16  # room for 2^17 action dimensions in a step
_LEVELS = 1 << 16


def fold(seeds: Tensor, value: int) -> Tensor:
    """Gives fresh seeds (B,) int64 for use number `value` of seeds (B,) int64."""
    return _mix_64(seeds + _signed(_GOLDEN * (value + 1), bits=64))


def normal(
    seeds: Tensor, iteration: int, candidates: range, horizon: int, action_size: int
) -> Tensor:
    """Gives standard normal noise (B, N, H, A) float32.

    Values are the 2^16 mid-quantiles of the normal distribution, so |value| < 4.4.

    Args:
        seeds: (B,) int64, one per problem.
        iteration: of the search.
        candidates: which N consecutive candidates; `range(300)` begins with the same
            numbers as `range(100)`.
        horizon: steps H.
        action_size: dimensions A.
    """
    keys = _candidate_keys(seeds, iteration, candidates)  # (B, N, 2) int32
    pairs = (action_size + 1) // 2  # one 32-bit word gives two values
    words = _words(keys, horizon, pairs)  # (B, N, H * pairs) int32
    levels = words.view(torch.int16).to(torch.int32) + _LEVELS // 2
    values = _quantiles(seeds.device).index_select(0, levels.flatten())
    values = values.view(len(seeds), len(candidates), horizon, 2 * pairs)
    return values[..., :action_size]


def correlate(noise: Tensor, correlation: float) -> Tensor:
    """Gives noise (B, N, H, A) that remembers: a stationary AR(1) process over H.

    Neighbouring steps correlate by `correlation` in [0, 1); each value stays standard
    normal. A step depends on earlier steps only, so a longer horizon begins alike.
    """
    if correlation == 0.0:
        return noise
    scale = (1.0 - correlation**2) ** 0.5
    noise = torch.cat([noise[:, :, :1], noise[:, :, 1:] * scale], dim=2)
    # y[t] = sum_s c^s x[t - s], summed in log2(H) doublings instead of H steps.
    stride = 1
    while stride < noise.shape[2]:
        echo = noise[:, :, :-stride] * correlation**stride
        noise[:, :, stride:] += echo
        stride *= 2
    return noise


def coloured(noise: Tensor, exponent: float) -> Tensor:
    """Gives noise (B, N, H, A) whose power over the H steps falls as 1 / f^exponent.

    0 is white, 1 pink, 2 red; each value stays standard normal. The series is periodic
    in H, and the mean over H has the power of the lowest frequency.
    Timmer & Koenig 1995; for planning Pinneri et al. 2020 (iCEM).
    """
    horizon = noise.shape[2]
    if exponent == 0.0 or horizon == 1:
        return noise
    mix = _colour(horizon, exponent, noise.device)
    # Not a matrix product: its last bit would depend on the number of rows.
    total = noise[:, :, :1] * mix[:, :1]
    for step in range(1, horizon):
        total += noise[:, :, step : step + 1] * mix[:, step : step + 1]
    return total


@lru_cache(maxsize=64)
def _colour(horizon: int, exponent: float, device: torch.device) -> Tensor:
    """The matrix (H, H) that colours white noise: a real Fourier basis, scaled."""
    steps = torch.arange(horizon, dtype=torch.float64)
    columns = [torch.ones_like(steps)]
    scales = [1.0]  # of the mean: that of the lowest frequency
    for wave in range(1, horizon // 2 + 1):
        angle = 2.0 * torch.pi * wave * steps / horizon
        parts = (angle.cos(),) if 2 * wave == horizon else (angle.cos(), angle.sin())
        columns.extend(parts)
        scales.extend([float(wave) ** (-exponent / 2.0)] * len(parts))
    scale = torch.tensor(scales, dtype=torch.float64)
    scale /= scale.square().mean().sqrt()
    basis = torch.stack(columns, dim=1)  # (H, H)
    basis = basis / basis.norm(dim=0) * scale
    # As with the quantiles: last bits differ between machines.
    mix = torch.round(basis * 2.0**20) / 2.0**20
    return mix.to(device=device, dtype=torch.float32)


def _candidate_keys(seeds: Tensor, iteration: int, candidates: range) -> Tensor:
    assert candidates.step == 1, "candidates must be consecutive"
    first = iteration * _ITERATION_STRIDE + 1
    counters = torch.arange(
        first + candidates.start, first + candidates.stop, device=seeds.device
    )
    keys = _mix_64(seeds[:, None] + counters * _signed(_GOLDEN, bits=64))  # (B, N)
    return keys.view(torch.int32).view(*keys.shape, 2)


def _words(keys: Tensor, horizon: int, pairs: int) -> Tensor:
    device = keys.device
    steps = torch.arange(1, horizon + 1, dtype=torch.int32, device=device)
    columns = torch.arange(pairs, dtype=torch.int32, device=device)
    counters = (steps[:, None] * _STEP_STRIDE + columns).flatten()
    counters *= _signed(_GOLDEN >> 32, bits=32)
    words = keys[..., :1] ^ counters  # (B, N, H * pairs)
    words ^= _shifted(words, 16)
    words *= _signed(_MIX_32[0], bits=32)
    words ^= keys[..., 1:]
    words ^= _shifted(words, 13)
    words *= _signed(_MIX_32[1], bits=32)
    words ^= _shifted(words, 16)
    return words


def _shifted(words: Tensor, count: int) -> Tensor:
    # Torch shifts signed integers with their sign; the mask makes it a logical shift.
    shifted = words >> count
    shifted &= (1 << (32 - count)) - 1
    return shifted


def _mix_64(words: Tensor) -> Tensor:
    for count, factor in ((30, _MIX_64[0]), (27, _MIX_64[1])):
        words = words ^ ((words >> count) & ((1 << (64 - count)) - 1))
        words = words * _signed(factor, bits=64)
    return words ^ ((words >> 31) & ((1 << 33) - 1))


def _signed(word: int, bits: int) -> int:
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> (bits - 1) else word


@lru_cache(maxsize=16)
def _quantiles(device: torch.device) -> Tensor:
    # Rounded to 20 binary places: the last bits of ndtri differ between machines.
    levels = torch.arange(_LEVELS // 2, dtype=torch.float64) + 0.5
    below = torch.special.ndtri(levels / _LEVELS)
    below = torch.round(below * 2.0**20) / 2.0**20
    table = torch.cat([below, -below.flip(0)])
    return table.to(device=device, dtype=torch.float32)

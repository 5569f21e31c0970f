"""Intervals, paired tests and percentiles for rates of success."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z_95 = 1.959963984540054


def wilson_interval(successes: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Gives the Wilson score interval of a rate.

    Args:
        successes: Number of successes in [0, n].
        n: Number of trials, at least 1.
        z: Quantile of the normal distribution; the default gives 95%.

    Returns:
        (low, high), both in [0, 1].

    Source: E. B. Wilson, Probable inference, the law of succession, and
    statistical inference, JASA 22 (1927).
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be in [0, n={n}], got {successes}")
    rate = successes / n
    shrink = 1.0 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At the two ends the bound is exact; rounding must not leave 1e-17 there.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


@dataclass(frozen=True)
class Paired:
    """Two methods on the same problems.

    Attributes:
        n: Number of problems.
        only_first: Problems that only the first method solved.
        only_second: Problems that only the second method solved.
        difference: Rate of the first minus rate of the second, in [-1, 1].
        p_value: Two-sided exact McNemar p-value, in (0, 1].
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    p_value: float


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> Paired:
    """Compares two methods problem by problem with the exact McNemar test.

    Args:
        first: Outcome of the first method on each problem.
        second: Outcome of the second method, in the same order.

    Returns:
        The discordant counts, the difference of the rates and the p-value.

    Source: Q. McNemar, Psychometrika 12 (1947); the exact form is a two-sided
    binomial test of the discordant pairs against one half.
    """
    if len(first) != len(second):
        raise ValueError(
            "paired outcomes must have the same length, "
            f"got {len(first)} and {len(second)}"
        )
    if not first:
        raise ValueError("a paired test needs at least 1 problem, got 0")
    pairs = [(bool(a), bool(b)) for a, b in zip(first, second, strict=True)]
    only_first = sum(a and not b for a, b in pairs)
    only_second = sum(b and not a for a, b in pairs)
    return Paired(
        n=len(pairs),
        only_first=only_first,
        only_second=only_second,
        difference=(only_first - only_second) / len(pairs),
        p_value=_two_sided_half(only_first, only_second),
    )


def _two_sided_half(heads: int, tails: int) -> float:
    """Gives the two-sided exact p-value of a fair coin."""
    tosses = heads + tails
    tail = sum(math.comb(tosses, k) for k in range(min(heads, tails) + 1))
    return float(min(1.0, 2 * tail / 2**tosses))


def percentile(values: Sequence[float] | np.ndarray, q: float) -> float:
    """Gives the q-th percentile (linear between order statistics).

    Args:
        values: Finite numbers, at least one.
        q: Percentile in [0, 100].
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("a percentile needs at least 1 value, got 0")
    if not np.isfinite(array).all():
        raise ValueError("a percentile needs finite values, got NaN or infinity")
    if not 0 <= q <= 100:
        raise ValueError(f"q must be in [0, 100], got {q}")
    return float(np.percentile(array, q))

import math

import numpy as np
import pytest

from worldmodel.evaluation.statistics import mcnemar, percentile, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), table I, method 3, and the closed forms of the two ends.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 1 - 0.1170, 1.0),
    ],
)
def test_wilson_interval_gives_the_published_values(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=6e-5)


def test_wilson_interval_solves_its_defining_equation():
    for bound in wilson_interval(37, 50):
        z = (0.74 - bound) / math.sqrt(bound * (1 - bound) / 50)
        assert abs(z) == pytest.approx(1.959963984540054)


def test_wilson_interval_refuses_impossible_counts():
    with pytest.raises(ValueError, match=r"successes must be in \[0, n=5\], got 6"):
        wilson_interval(6, 5)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        wilson_interval(0, 0)


def outcomes(both: int, first: int, second: int, neither: int):
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    return a, b


def test_mcnemar_is_the_binomial_test_of_discordant_pairs():
    # 1 of 8 against one half, two-sided: 2 (1 + 8) / 256.
    pair = mcnemar(*outcomes(both=30, first=7, second=1, neither=12))
    assert (pair.n, pair.only_first, pair.only_second) == (50, 7, 1)
    assert pair.difference == pytest.approx(6 / 50)
    assert pair.p_value == pytest.approx(18 / 256)


def test_mcnemar_ignores_problems_that_both_solve_or_both_fail():
    small = mcnemar(*outcomes(both=0, first=9, second=2, neither=0))
    large = mcnemar(*outcomes(both=500, first=9, second=2, neither=500))
    assert small.p_value == large.p_value


def test_mcnemar_finds_nothing_where_the_methods_agree():
    assert mcnemar([True, False], [True, False]).p_value == 1.0


def test_mcnemar_refuses_unpaired_outcomes():
    with pytest.raises(ValueError, match="same length, got 2 and 3"):
        mcnemar([True] * 2, [True] * 3)


def test_percentile_lies_between_order_statistics():
    assert percentile([4.0, 1.0, 2.0, 3.0], 50) == 2.5
    assert percentile(np.arange(101), 99) == 99.0


def test_percentile_refuses_values_that_have_no_order():
    with pytest.raises(ValueError, match="NaN"):
        percentile([1.0, float("nan")], 50)
    with pytest.raises(ValueError, match="at least 1 value"):
        percentile([], 50)

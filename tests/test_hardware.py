import itertools
from collections.abc import Callable

import pytest
import torch

from worldmodel.hardware import (
    bf16_pays,
    hardware,
    matmul_rate,
    software,
)


def test_hardware_is_told_in_one_line():
    facts = hardware()
    assert facts.cores >= 1
    assert facts.threads == torch.get_num_threads()
    assert facts.device == "cpu"
    assert facts.cpu in facts.describe()
    assert "\n" not in facts.describe()


def test_software_names_python_and_torch():
    versions = software()
    assert versions["torch"] == torch.__version__
    assert "python" in versions


def test_a_matmul_rate_is_that_of_a_timed_product(monkeypatch):
    clock = iter(0.5 * tick for tick in range(100))
    monkeypatch.setattr("worldmodel.hardware.time.perf_counter", lambda: next(clock))
    rate = matmul_rate(seconds=1.0, side=8)
    # Every product seems to take one tick of 0.5 s: 2 * 8^3 / 0.5 operations a second.
    assert rate.fp32_gflops == pytest.approx(2 * 8**3 / 0.5 / 1e9)


@pytest.mark.parametrize(("rate", "side"), [(1e9, 128), (1e12, 1024)])
def test_products_are_as_large_as_the_time_allows(rate, side, monkeypatch):
    tried = []

    def timer(dtype: torch.dtype, device: torch.device, side: int) -> Callable:
        tried.append(side)
        return lambda: 2 * side**3 / rate

    monkeypatch.setattr("worldmodel.hardware._product_timer", timer)
    clock = iter(range(100))
    monkeypatch.setattr("worldmodel.hardware.time.perf_counter", lambda: next(clock))
    found = matmul_rate(seconds=0.03)
    assert max(tried) == side
    assert found.bf16_gflops == pytest.approx(rate / 1e9)


def test_a_rate_needs_time():
    with pytest.raises(ValueError, match="seconds must be positive, got 0"):
        matmul_rate(seconds=0)


@pytest.mark.parametrize(("fp32", "bf16"), [(1.0, 0.4), (1.0, 100.0)])
@pytest.mark.parametrize("delayed", [torch.float32, torch.bfloat16])
def test_bf16_pays_where_it_is_faster_whatever_else_delays(
    fp32, bf16, delayed, monkeypatch
):
    turns = itertools.count()

    def timer(dtype: torch.dtype, *_: object) -> Callable[[], float]:
        alone = fp32 if dtype == torch.float32 else bf16
        return lambda: alone + 1e3 * (dtype == delayed and next(turns) % 8 < 7)

    monkeypatch.setattr("worldmodel.hardware._product_timer", timer)
    bf16_pays.cache_clear()
    assert bf16_pays(torch.device("cpu")) is (bf16 < fp32)
    bf16_pays.cache_clear()

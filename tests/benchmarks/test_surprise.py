import numpy as np
import pytest
import torch

from benchmarks.files_of_an_action import files_of
from benchmarks.surprise import TRAY_M, cell, drawn, teleported
from planners.contract import require_work
from planners.noise import correlate


@pytest.mark.parametrize("by", [0.06, 0.12])
def test_a_teleported_cube_is_elsewhere_in_the_tray(by: float):
    rng, place = np.random.default_rng(0), teleported(by)
    for cube in rng.uniform((0.35, -0.25, 0.02), (0.65, 0.25, 0.02), size=(50, 3)):
        there = place(cube, rng)
        assert np.linalg.norm(there - cube) == pytest.approx(by)
        assert there[2] == cube[2]
        for x, (low, high) in zip(there, TRAY_M, strict=False):
            assert low <= x <= high


def test_only_moments_with_a_past_are_drawn():
    fits = np.zeros(20, dtype=bool)
    fits[[2, 15]] = True
    rng = np.random.default_rng(0)
    assert [list(drawn(fits, rng)) for _ in range(10)] == [[15]] * 10
    assert list(drawn(fits[:10], rng)) == []


def test_a_cell_says_how_far_events_stand_out():
    possible = np.arange(101.0)
    assert cell(possible, [200.0, 300.0]).startswith("1.00, 1.00 (")
    assert cell(possible, [50.0]).startswith("0.50, 0.00 (")
    assert cell(possible, []) == "–"


def test_files_are_those_whose_functions_run():
    found = files_of(lambda: require_work(1, 1))
    assert found == {"planners/contract.py": {"require_work"}}
    assert "planners/noise.py" in files_of(lambda: correlate(torch.zeros(1), 0.0))

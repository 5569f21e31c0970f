"""Starts of their protocol, and outcomes that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.outcomes import Outcomes
from benchmarks.peers.swm import AHEAD, draw


def test_starts_differ_and_have_a_goal_in_their_episode() -> None:
    lengths = np.array([AHEAD, AHEAD + 1, AHEAD + 3, 10, AHEAD + 2])
    episodes, steps = draw(lengths, 6, seed=0)
    pairs = sorted(zip(episodes, steps, strict=True))
    assert pairs == [(1, 0), (2, 0), (2, 1), (2, 2), (4, 0), (4, 1)]
    assert draw(lengths, 6, seed=0) == (episodes, steps)
    with pytest.raises(ValueError, match=r"n must be in \[1, 6\], got 7"):
        draw(lengths, 7, seed=0)


def test_outcomes_go_on_where_they_stopped(tmp_path: Path) -> None:
    path = tmp_path / "random.json"
    first = Outcomes.load(path, {"budget": 50}).extended([True, False], 3.0)
    first.save(path, solved_at_start=1)
    found = Outcomes.load(path, {"budget": 50}).extended([True], 1.0)
    assert found.successes == (True, False, True)
    assert found.text.startswith("2 of 3, 66.7%")
    assert json.loads(path.read_text())["solved_at_start"] == 1


def test_outcomes_of_other_conditions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "random.json"
    Outcomes({"budget": 50}, (True,), 1.0).save(path)
    with pytest.raises(ValueError, match="'budget': 50.* not .*'budget': 25"):
        Outcomes.load(path, {"budget": 25})

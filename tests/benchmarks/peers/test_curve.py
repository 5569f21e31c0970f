"""Points of success over training time, run once each."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import curve, strict
from benchmarks.peers.curve import Point
from tests.benchmarks.peers.test_strict import TASK, evaluated
from tests.evaluation.adapters.fakes import SPEC, Cart, CartAdapter
from worldmodel.commands.bench import Job
from worldmodel.evaluation.adapters.adapted_arena import AdaptedArena
from worldmodel.evaluation.policy import Decision
from worldmodel.evaluation.results import Method, load_results


class Waiting:
    """Does nothing, which brings a cart five steps on."""

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        """Has nothing to remember."""

    def act(self, pixels: np.ndarray, proprio: np.ndarray) -> Decision:
        return Decision.of_actions(np.zeros((len(pixels), 2), np.float32))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Makes carts of what would be `gymnasium.make`; notes which models are read."""
    place = "worldmodel.evaluation.adapters.adapted_arena.make_adapter"
    monkeypatch.setattr(place, lambda task, kind: kind(Cart()))
    monkeypatch.setattr(strict, "find_adapter", lambda task: CartAdapter)
    read: list[Path] = []

    def opened(point: Point, like: object, options: Namespace) -> curve.Opened:
        arena = AdaptedArena(TASK, CartAdapter, SPEC, 8, 12, budget=5)
        method = Method(point.key, "method", {})

        def policy() -> Waiting:
            read.append(point.path)
            return Waiting()

        return arena, Job(point.key, method, policy)

    monkeypatch.setattr(curve, "_ours", opened)
    monkeypatch.setattr(curve, "_lewm", opened)
    return read


def test_a_point_is_run_once_and_all_are_written(
    tmp_path: Path, asked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = evaluated(tmp_path / "run"), tmp_path / "curve"
    words = ["curve", "--run", str(run), "--out", str(out), "--data", "train.h5"]
    points = ["ours:2.5:a", "lewm:5:b"]
    monkeypatch.setattr("sys.argv", [*words, "--n", "2", "--points", *points])
    curve.main()
    assert asked == [Path("a"), Path("b")]
    monkeypatch.setattr(
        "sys.argv", [*words, "--n", "2", "--points", *points, "ours:5:c"]
    )
    curve.main()
    assert asked == [Path("a"), Path("b"), Path("c")]
    told = json.loads((out / "curve.json").read_text())["points"]
    found = [(one["who"], one["minutes"], one["solved"], one["n"]) for one in told]
    floor, *methods = found
    assert floor == ("floor", 0.0, 1, 2)  # of the three that it was run on
    assert methods == [("ours", 2.5, 1, 2), ("lewm", 5.0, 1, 2), ("ours", 5.0, 1, 2)]
    kept = out / "2" / "rows" / f"{_slug(TASK)}_ours_5_minutes.json"
    (row,) = load_results(kept).rows
    assert row.protocol.n == 2


def _slug(task: str) -> str:
    return task.lower().replace("/", "_")


@pytest.mark.parametrize("text", ["ours:5", "theirs:5:a", "ours:five:a", "ours:-1:a"])
def test_a_point_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be WHO:MINUTES:PATH.*ours, lewm"):
        Point.read(text)


def test_points_must_differ() -> None:
    points = [Point.read("ours:5:a"), Point.read("ours:5.0:b")]
    with pytest.raises(ValueError, match="ours_5_minutes"):
        curve._require_apart(points)

"""A peer on the problems of a run of `worldmodel evaluate`, at its own picture size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import strict
from benchmarks.peers.lewm import SIDE
from tests.evaluation.adapters.fakes import SPEC, Cart, CartAdapter
from worldmodel.commands.bench import Bench, Job, Place
from worldmodel.evaluation.adapters.adapted_arena import AdaptedArena
from worldmodel.evaluation.policy import Decision, RandomPolicy
from worldmodel.evaluation.problem_files import save_problems
from worldmodel.evaluation.problems import Problem, collect_problems
from worldmodel.evaluation.protocol import SPLIT_SEEDS
from worldmodel.evaluation.results import Method, load_results, save_results
from worldmodel.hardware import hardware

TASK, N = "worldmodel_tests/Cart-v0", 3


class Looking:
    """Looks at its goal pictures and does nothing."""

    goals: np.ndarray

    def start(self, goal_images: np.ndarray, seeds: np.ndarray) -> None:
        self.goals = goal_images

    def act(self, pixels: np.ndarray, proprio: np.ndarray) -> Decision:
        return Decision.of_actions(np.zeros((len(pixels), 2), np.float32))


@pytest.fixture(autouse=True)
def cart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes carts of what would be `gymnasium.make`."""
    place = "worldmodel.evaluation.adapters.adapted_arena.make_adapter"
    monkeypatch.setattr(place, lambda task, kind: kind(Cart()))
    monkeypatch.setattr(strict, "make_adapter", lambda task, kind: kind(Cart()))
    monkeypatch.setattr(strict, "find_adapter", lambda task: CartAdapter)


def evaluated(folder: Path, also: str = "") -> Path:
    """A run of carts that have to go 4, 5 and 6 steps in 5; `also` is a second row."""
    arena = AdaptedArena(TASK, CartAdapter, SPEC, 4, 6, budget=5)
    picture = np.zeros((4, 6, 3), np.uint8)
    first = SPLIT_SEEDS["test"].start
    made = [
        Problem(TASK, first + i, np.zeros(1), np.array([4.0 + i]), picture, picture)
        for i in range(N)
    ]
    problems = collect_problems(made, "test", arena.fingerprint)
    save_problems(problems, folder / "problems" / "worldmodel_tests_cart-v0_test")
    place = Place(hardware(), "none")
    bench = Bench(arena, problems, folder / "rows", 2, place, lambda count: None)
    kinds = ["floor", also] if also else ["floor"]
    jobs = [Job(k, Method("random", k, {}), lambda: RandomPolicy(2)) for k in kinds]
    rows = [bench.row("standard", job) for job in jobs]
    save_results(place.results(rows), folder / "results.json")
    return folder


def test_a_peer_meets_the_same_problems_at_its_own_size(tmp_path: Path) -> None:
    run = evaluated(tmp_path)
    (floor,) = load_results(run / "results.json").rows
    problems = strict.problems_of(run, floor)
    arena = strict.arena_of(floor)
    looking = Looking()
    job = Job("peer", Method("peer", "method", {}), lambda: looking)
    row = strict.run_job(job, arena, strict.redrawn(problems, arena), run, group=3)
    assert looking.goals.shape == (N, SIDE, SIDE, 3)
    assert looking.goals[:, 0, 0, 0].tolist() == [40, 50, 60]  # as bright as its place
    assert [episode.success for episode in row.episodes] == [False, True, False]
    assert row.protocol == floor.protocol
    assert load_results(run / "peer_3.json").rows == (row,)
    assert strict.compared(row, (floor,)) == [
        "peer: 1 of 3 at the end, 33.3% (6.1 to 79.2)",
        "random: 1 of 3 at the end, 33.3% (6.1 to 79.2); +0 -0, p = 1",
    ]


def test_rows_of_other_problems_are_not_compared(tmp_path: Path) -> None:
    (floor,) = load_results(evaluated(tmp_path) / "results.json").rows
    moved = tuple(replace(e, seed=e.seed + 1) for e in floor.episodes)
    with pytest.raises(ValueError, match="random was run on other problems"):
        strict.compared(floor, (replace(floor, episodes=moved),))

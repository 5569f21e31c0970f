"""Protocol *strict*: LeWM on the problems of a run of `worldmodel evaluate`.

    .venv-peers-full/bin/worldmodel evaluate env=swm/PushT-v1 goals=data/pusht/lerobot \
        states=sim_state ahead=25 split=test n=200 model=… out=runs/evaluate/pusht
    .venv-peers-full/bin/python -m benchmarks.peers.strict --run runs/evaluate/pusht \
        --data data/pusht/train.h5 --model runs/lewm/checkpoints/lewm

Starts and goals are of held-out episodes, 25 steps apart; starts that are solved are
left out, and success is judged after the last step of the budget. That command runs
ours and random actions; this one theirs, on the first `--n` of the same problems, with
the env's picture at the size that LeWM was trained on. It writes a results file into
the run folder and says how both do on the same problems. Killed, the same command goes
on behind the last finished group.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.peers.lewm import (
    PLAN,
    SEARCH,
    SIDE,
    LeWMPolicy,
    PackedCosts,
    load_lewm,
)
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.commands.bench import Bench, Job, Place
from worldmodel.commands.filming import file_name
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.adapters.adapted_arena import AdaptedArena
from worldmodel.evaluation.adapters.finding import find_adapter, make_adapter
from worldmodel.evaluation.adapters.fitting import env_spec
from worldmodel.evaluation.environment import gl_backend
from worldmodel.evaluation.problem_files import load_problems
from worldmodel.evaluation.problems import ProblemSet
from worldmodel.evaluation.results import Method, Row, load_results, save_results
from worldmodel.evaluation.statistics import mcnemar, wilson_interval
from worldmodel.hardware import hardware

SEED = 42  # theirs, of the search


def main() -> None:
    """Runs LeWM, and compares it with the rows of the run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="its training file")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--group", type=int, default=5)
    options = parser.parse_args()
    try:
        rows = load_results(options.run / "results.json").rows
        model = load_lewm(options.model)
        method = Method("LeWM", "method", SEARCH | PLAN, weights_hash(model))
        problems = problems_of(options.run, rows[0]).head(options.n)
        arena = arena_of(rows[0])
        try:
            size, costs = arena.action_spec.size, PackedCosts(model)
            job = Job(
                "lewm", method, lambda: LeWMPolicy(costs, options.data, SEED, size)
            )
            drawn = redrawn(problems, arena)
            row = run_job(job, arena, drawn, options.run, options.group)
        finally:
            arena.close()
    except (ValueError, OSError, WorldModelError) as error:
        sys.exit(str(error))
    for line in compared(row, rows):
        print(line)


def problems_of(run: Path, row: Row) -> ProblemSet:
    """Reads the problems that a row of a run of `worldmodel evaluate` was made on."""
    protocol = row.protocol
    folder = run / "problems" / f"{file_name(protocol.task)}_{protocol.split}"
    return load_problems(folder, protocol.environment)


def arena_of(row: Row, height: int = SIDE, width: int = SIDE) -> AdaptedArena:
    """Gives the env of a row, with pictures of that size [px], by default LeWM's."""
    task = row.protocol.task
    kind = find_adapter(task)
    adapter = make_adapter(task, kind)
    spec = env_spec(adapter)
    adapter.env.close()
    return AdaptedArena(task, kind, spec, height, width, row.protocol.budget)


def run_job(
    job: Job, arena: AdaptedArena, problems: ProblemSet, run: Path, group: int
) -> Row:
    """Runs a job on problems of `redrawn`, and writes a results file of it."""
    place = Place(hardware(), gl_backend())
    bench = Bench(
        arena=arena,
        problems=problems,
        folder=run / "rows",
        group=group,
        place=place,
        advance=lambda count: print(f"{job.key}: {count} done", flush=True),
    )
    row = bench.row("standard", job)
    save_results(place.results([row]), run / f"{job.key}_{row.protocol.n}.json")
    return row


def redrawn(problems: ProblemSet, arena: AdaptedArena) -> ProblemSet:
    """Gives problems with start and goal at the size that an arena's env shows.

    Those of another size are drawn anew by the env.
    """
    if problems.start_images.shape[1:3] == (arena.height, arena.width):
        return problems
    (env,) = arena.pool.take(1)

    def drawn(states: np.ndarray) -> np.ndarray:
        return np.stack([_picture(env, state) for state in states])

    return replace(
        problems,
        start_images=drawn(problems.states),
        goal_images=drawn(problems.goals),
    )


def _picture(env: object, state: np.ndarray) -> np.ndarray:
    observation, _ = env.reset(seed=0, options={"state": state})  # type: ignore[attr-defined]
    return observation["pixels"]


def compared(row: Row, others: tuple[Row, ...]) -> list[str]:
    """Gives a line for the row, and one for each other on the same problems."""
    own = [episode.success for episode in row.episodes]
    lines = [_line(row.method.name, own)]
    seeds = [episode.seed for episode in row.episodes]
    for other in others:
        episodes = other.episodes[: len(own)]
        if [episode.seed for episode in episodes] != seeds:
            raise ValueError(f"{other.method.name} was run on other problems")
        theirs = [episode.success for episode in episodes]
        paired = mcnemar(theirs, own)
        lines.append(
            f"{_line(other.method.name, theirs)}; +{paired.only_first} "
            f"-{paired.only_second}, p = {paired.p_value:.2g}"
        )
    return lines


def _line(name: str, successes: list[bool]) -> str:
    n, solved = len(successes), sum(successes)
    low, high = wilson_interval(solved, n)
    rates = f"{100 * solved / n:.1f}% ({100 * low:.1f} to {100 * high:.1f})"
    return f"{name}: {solved} of {n} at the end, {rates}"


if __name__ == "__main__":
    main()

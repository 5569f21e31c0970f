"""Success over training time: ours and LeWM on the problems of one run, *strict*.

    .venv-peers-full/bin/python -m benchmarks.peers.curve --run runs/evaluate/pusht \
        --data data/pusht/train.h5 --n 100 --out runs/curve \
        --points ours:10:runs/train/10/model ours:40:runs/train/40/model \
                 lewm:10:runs/lewm/checkpoints/lewm/weights_epoch_1.pt …

`--run` is a run of `worldmodel evaluate env=… goals=…`, whose problems are taken. A
point is who was trained, for how many minutes, and the weights that came of it; what a
minute is, of which processor, is for the caller to see to. It writes curve.json and,
with matplotlib, curve.png. Points that are there already are left alone, and one that
was killed goes on behind its last finished group.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.curves import Axis, draw, outcome
from benchmarks.peers.lewm import PLAN, SEARCH, LeWMPolicy, PackedCosts, load_lewm
from benchmarks.peers.outcomes import save_json
from benchmarks.peers.strict import SEED, arena_of, problems_of, redrawn, run_job
from worldmodel.checkpoints.checkpoint import weights_hash
from worldmodel.commands.bench import Job
from worldmodel.commands.compose import compose_config
from worldmodel.commands.control import Control, load_control
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.adapters.adapted_arena import AdaptedArena
from worldmodel.evaluation.adapters.fitting import require_fits
from worldmodel.evaluation.problems import ProblemSet
from worldmodel.evaluation.results import Method, Row, load_results
from worldmodel.hardware import hardware

WHO = ("ours", "lewm")


@dataclass(frozen=True)
class Point:
    """A model after so much training.

    Attributes:
        who: One of WHO.
        minutes: Of training.
        path: Of its weights.
    """

    who: str
    minutes: float
    path: Path

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads WHO:MINUTES:PATH.

        Raises:
            ValueError: It is none.
        """
        who, minutes, path = [*text.split(":", 2), "", ""][:3]
        try:
            found = cls(who, float(minutes), Path(path))
        except ValueError:
            found = None
        if found is None or who not in WHO or not path or not 0 <= found.minutes < 1e6:
            raise ValueError(
                f"a point must be WHO:MINUTES:PATH, WHO one of {', '.join(WHO)}, got "
                f"{text!r}"
            )
        return found

    @property
    def key(self) -> str:
        """Names the files of its row."""
        return f"{self.who}_{self.minutes:g}_minutes"


def main() -> None:
    """Runs what is missing of all points, and writes the curve after each."""
    options = _options()
    try:
        rows = load_results(options.run / "results.json").rows
        points = [Point.read(text) for text in options.points]
        _require_apart(points)
        floors = [row for row in rows if row.method.kind == "floor"]
        records = [record(row, "floor", 0.0, options.n) for row in floors]
        for point in points:
            row = evaluate(point, rows[0], options)
            records.append(record(row, point.who, point.minutes, options.n))
            write(records, options.out)
            print(f"{point.key}: {records[-1]['solved']} of {row.protocol.n}")
    except (ValueError, OSError, WorldModelError) as error:
        sys.exit(str(error))
    print(f"curve.json is in {options.out}")


def evaluate(point: Point, like: Row, options: argparse.Namespace) -> Row:
    """Gives the row of a point, on the first problems that another row was run on."""
    opened = _ours if point.who == "ours" else _lewm
    arena, job = opened(point, like, options)
    try:
        problems = problems_of(options.run, like).head(options.n)
        out = options.out / str(len(problems))  # rows of other problems stand apart
        kept = out / f"{job.key}_{len(problems)}.json"
        if kept.is_file() and _is_of(kept, job, problems):
            return load_results(kept).rows[0]
        drawn = redrawn(problems, arena)
        return run_job(job, arena, drawn, out, options.group)
    finally:
        arena.close()


def _is_of(kept: Path, job: Job, problems: ProblemSet) -> bool:
    """Whether a results file is of a job, weights and settings too, on problems."""
    (row,) = load_results(kept).rows
    seeds = [episode.seed for episode in row.episodes]
    return row.method == job.method and seeds == problems.seeds.tolist()


Opened = tuple[AdaptedArena, Job]


def _ours(point: Point, like: Row, options: argparse.Namespace) -> Opened:
    words = [f"model={point.path}", "batch_invariant=false", *options.options]
    control: Control = load_control(compose_config("evaluate", words))
    model = control.model
    arena = arena_of(like, model.height, model.width)
    require_fits("model", model.action_spec, arena.adapter, arena.task)
    arena.action_spec = model.action_spec
    method = Method(point.key, "method", control.settings, control.model_hash)
    return arena, Job(point.key, method, lambda: control.policy(arena))


def _lewm(point: Point, like: Row, options: argparse.Namespace) -> Opened:
    model = load_lewm(point.path)
    method = Method(point.key, "method", SEARCH | PLAN, weights_hash(model))
    costs = PackedCosts(model)
    arena = arena_of(like)
    size = arena.action_spec.size
    policy = LeWMPolicy(costs, options.data, SEED, size)
    return arena, Job(point.key, method, lambda: policy)


def record(row: Row, who: str, minutes: float, n: int) -> dict[str, Any]:
    """Gives what is known of a point on the first n problems, as plain JSON."""
    found = {"who": who, "minutes": minutes, **outcome(row.episodes[:n])}
    return found | {"model": row.method.model_hash}


def write(records: list[dict[str, Any]], out: Path) -> None:
    """Writes the curve, and draws it where matplotlib is installed."""
    out.mkdir(parents=True, exist_ok=True)
    told = {"hardware": hardware().describe(), "points": records}
    save_json(out / "curve.json", told)
    lines = {who: [one for one in records if one["who"] == who] for who in WHO}
    floor = next((one for one in records if one["who"] == "floor"), None)
    draw(lines, Axis("minutes", "minutes of training"), out / "curve.png", floor)


def _require_apart(points: list[Point]) -> None:
    keys = [point.key for point in points]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"points must differ in who or minutes, {twice} are twice")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--points", nargs="+", required=True)
    parser.add_argument("--data", type=Path, help="training file of LeWM")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--group", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--options", nargs="*", default=[], help="of worldmodel evaluate, for ours"
    )
    options = parser.parse_args()
    if options.data is None and any(t.startswith("lewm:") for t in options.points):
        parser.error("points of lewm need --data FILE")
    return options


if __name__ == "__main__":
    main()

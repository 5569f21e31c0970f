"""Which self-supervised objective gives an encoder to plan with.

    python -m benchmarks.encoders --data data/play --out runs/encoders --minutes 60
    python -m benchmarks.encoders report --out runs/encoders

One row after the other: pretraining of `--minutes` of processor time on one backbone,
the general projector where the objective has none that actions predict, stages 3 to 5,
probes, and the validation problems that all rows share. What is there is left alone, so
a killed run goes on where it stopped. `report` adds what is there to
docs/results/encoders.json and prints the tables; `blind` evaluates the best row's model
with its video tokens replaced by their mean.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.ablations import TASKS
from benchmarks.encoders.pretraining import Pretraining
from benchmarks.encoders.report import report, winner
from benchmarks.encoders.rows import ROWS
from benchmarks.encoders.running import Bench, run, run_blind
from worldmodel.commands.devices import choose_device
from worldmodel.encoders import VideoViTSpec
from worldmodel.errors import WorldModelError

RESULTS = Path("docs/results/encoders.json")


def main() -> None:
    """Runs what is missing, or reports."""
    options = _options()
    if options.what == "report":
        print(report(options.out, options.results))
        return
    bench = _bench(options)
    if options.what == "run":
        for name in options.only or ROWS:
            run(name, bench)
        return
    best = winner(json.loads(options.results.read_text(encoding="utf-8")))
    if best is None:
        sys.exit(f"no row of {options.results} is evaluated: run, then report")
    run_blind(best, bench)


def _bench(options: argparse.Namespace) -> Bench:
    encoder = VideoViTSpec(
        patch=options.patch,
        dim=options.dim,
        depth=options.depth,
        heads=max(1, options.dim // 32),
        points=32,
    )
    part = Pretraining(
        encoder, options.minutes, options.moments, options.rate, options.seed
    )
    return Bench(
        options.data,
        options.out,
        part,
        (options.projector_steps, options.planning_steps),
        options.tasks,
        options.n,
        choose_device(options.device),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("what", nargs="?", choices=("run", "report", "blind"), default="run")
    add("--data", type=Path, help="folder of a dataset of play")
    add("--out", type=Path, default=Path("runs/encoders"))
    add("--results", type=Path, default=RESULTS, help="of report")
    add("--only", nargs="+", choices=ROWS, help="rows; all by default")
    add("--minutes", type=float, default=60.0, help="processor time of a pretraining")
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    add("--n", type=int, default=200, help="problems of each task")
    add("--seed", type=int, default=0)
    add("--device", default="cpu", help="of the pretraining")
    add("--moments", type=int, default=256, help="two-frame clips of a step, about")
    add("--rate", type=float, default=2e-3, help="peak of the learning rate")
    add("--patch", type=int, default=16)
    add("--dim", type=int, default=128)
    add("--depth", type=int, default=2)
    add("--projector-steps", type=int, default=8000)
    add("--planning-steps", type=int, default=8000)
    options = parser.parse_args()
    if options.what != "report" and options.data is None:
        parser.error("--data is needed: a folder that `worldmodel collect` has filled")
    return options


if __name__ == "__main__":
    try:
        main()
    except WorldModelError as error:
        sys.exit(f"error: {error}")

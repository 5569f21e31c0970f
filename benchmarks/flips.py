"""How many outcomes change with the batch: one problem at a time, or sixteen.

    python -m benchmarks.flips --out runs/flips --workers 2

Validation pushes, the shipped model and settings. With all problems of a batch in one
matrix (`batch_invariant=false`) the last bits depend on the batch; in tiles of one
shape (`batch_invariant=true`) they do not, and no outcome may change. Both are run at
batch 1 and at batch 16; runs that are there already are left alone. Costs of random
candidates at both batches are compared, too.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.planning_models import model_cost
from benchmarks.runs import evaluate, method_row
from worldmodel.evaluation.records import to_json
from worldmodel.evaluation.results import Episode
from worldmodel.evaluation.statistics import wilson_interval
from worldmodel.model import WorldModel
from worldmodel.resources import find_weights

BATCHES = (1, 16)


def main() -> None:
    """Runs what is missing, and prints how many outcomes changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/flips"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--n", type=int, default=400, help="with batch_invariant=false")
    parser.add_argument(
        "--tiled", type=int, default=100, help="with batch_invariant=true"
    )
    options = parser.parse_args()
    sizes = {"false": options.n, "true": options.tiled}
    jobs = [(alone, batch) for alone in sizes for batch in BATCHES]
    with ThreadPoolExecutor(options.workers) as pool:
        list(
            pool.map(lambda job: play(options.out, job[0], job[1], sizes[job[0]]), jobs)
        )
    for alone, n in sizes.items():
        one, other = (outcomes(options.out, alone, batch) for batch in BATCHES)
        pairs = list(zip(one, other, strict=True))
        flipped = sum(a.success != b.success for a, b in pairs)
        same = sum(to_json(a) == to_json(b) for a, b in pairs)
        low, high = wilson_interval(flipped, n)
        print(
            f"batch_invariant={alone}: {flipped} of {n} outcomes changed "
            f"({100 * low:.1f} to "
            f"{100 * high:.1f}%), {sum(a.success for a in one)} and "
            f"{sum(b.success for b in other)} solved, {same} records are the same"
        )
    print(f"costs: largest difference {largest_difference():.1e}")


def play(out: Path, alone: str, batch: int, n: int) -> None:
    """Evaluates pushes at a batch size, unless that is there."""
    options = [f"n={n}", f"group={batch}", "timing=0", f"batch_invariant={alone}"]
    evaluate(options, out / f"{alone}_{batch}", threads=1)


def outcomes(out: Path, alone: str, batch: int) -> tuple[Episode, ...]:
    """Gives the records of a run's episodes."""
    row = method_row(out / f"{alone}_{batch}")
    assert row is not None, "play() has just made it"
    return row.episodes


@torch.no_grad()
def largest_difference() -> float:
    """Gives how far costs of 16 problems are from those of each alone, at most."""
    model = WorldModel.from_pretrained(find_weights("reference"))
    model.precision, model.batch_invariant = torch.bfloat16, False
    generator = torch.Generator().manual_seed(0)
    actions = torch.rand((16, 64, 6, 5), generator=generator) * 2 - 1
    together = model_cost(model, 16, torch.device("cpu"))
    whole = together(actions)
    context, goals = together.context, together.goals
    apart = [
        model.goal_cost(context.problem(b), goals[b : b + 1])(actions[b : b + 1])
        for b in range(16)
    ]
    return float((whole - torch.cat(apart)).abs().max())


if __name__ == "__main__":
    main()

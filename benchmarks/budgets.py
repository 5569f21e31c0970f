"""Success against milliseconds: every planner on the same pushes, at several sizes.

    python -m benchmarks.budgets success --out runs/budgets --workers 2
    python -m benchmarks.budgets time --out runs/budgets
    python -m benchmarks.budgets report --out runs/budgets

`success` evaluates each planner at each size on the same validation problems, one
process a core, problems side by side (`batch_invariant=false`); a point that is there
already is left alone, so a killed run goes on where it stopped. `time` measures
milliseconds per action at one problem, one point after the other; leave the machine
alone meanwhile. `report` writes a table, a plot and one JSON of both.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.runs import evaluate, method_row
from worldmodel.evaluation.results import Row
from worldmodel.evaluation.statistics import mcnemar, wilson_interval

N = 100
NOISE = ("std=0.15", "correlation=0.5")
NORMAL = ("std=0.15",)
STARTS = 20  # of Gradient
DEFAULT = "CEM 3 x 64"  # what the others are paired with


@dataclass(frozen=True)
class Point:
    """A planner at one size.

    Attributes:
        planner: name of its config.
        label: name in the table and the plot.
        size: how much it searches.
        options: overrides of the planner's config.
    """

    planner: str
    label: str
    size: str
    options: tuple[str, ...]

    @property
    def name(self) -> str:
        """Gives its name, also that of its folder."""
        return f"{self.label} {self.size}"

    def overrides(self) -> list[str]:
        """Gives what `worldmodel evaluate` takes."""
        return [f"planner={self.planner}", *(f"planner.{o}" for o in self.options)]


# With horizon and executed steps as published; of proposals only TD-MPC2's.
PUBLISHED = (
    Point("lewm", "LeWM's CEM", "30 x 300, 5 of 5", ()),
    Point("jepa_wms", "JEPA-WMs' CEM", "15 x 300, 3 of 6", ()),
    Point("vjepa2_ac_paper", "V-JEPA 2-AC's CEM", "10 x 800, 1 of 1", ("l1_dims=0",)),
    Point("tdmpc2", "TD-MPC2's MPPI", "6 x 512, 1 of 3", ()),
)


def points() -> list[Point]:
    """Gives all points, the ordinary sizes first."""
    found = []
    for iterations, samples in ((3, 64), (2, 32), (1, 32), (6, 128)):
        found += searches(iterations, samples)
    # Larger ones, up to a second, where a hundred episodes take an hour at most.
    found += searches(6, 512)[:3]
    mppi, cem, _, icem, *_ = searches(6, 2048)
    return [*found, mppi, cem, icem, gradient(51), *PUBLISHED]


def searches(iterations: int, samples: int) -> list[Point]:
    """Gives each planner with about so many evaluations a plan."""
    size = f"{iterations} x {samples}"
    both = (f"iterations={iterations}", f"samples={samples}")
    elites = f"elites={max(4, samples // 8)}"
    wide = f"elites={samples // 4}"
    return [
        Point("mppi", "MPPI", size, (*both, wide, *NOISE)),
        Point("cem", "CEM", size, (*both, elites, *NOISE)),
        shooting(iterations * samples),
        Point("icem", "iCEM", size, (*both, elites, *NORMAL)),
        Point("cmaes", "CMA-ES", size, (*both, *NORMAL)),
        # one of its evaluations costs about three
        gradient(max(1, round(iterations * samples / STARTS / 3))),
        Point(
            "refine",
            "Refine",
            f"{size} and Gradient",
            (
                f"first.iterations={iterations}",
                f"first.samples={max(24, samples // 2)}",
                f"first.elites={max(4, samples // 16)}",
                f"then.iterations={max(1, iterations * samples // 24)}",
            ),
        ),
    ]


def shooting(samples: int) -> Point:
    """Gives random shooting with so many candidates."""
    return Point(
        "random_shooting",
        "Random shooting",
        f"1 x {samples}",
        (f"samples={samples}", *NOISE),
    )


def gradient(steps: int) -> Point:
    """Gives gradient descent of so many steps."""
    return Point(
        "gradient",
        "Gradient",
        f"{steps} x {STARTS}",
        (f"iterations={steps}", f"starts={STARTS}", "rate=0.05", *NOISE),
    )


def main() -> None:
    """Evaluates, measures or reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("success", "time", "report"))
    parser.add_argument("--out", type=Path, default=Path("runs/budgets"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.what == "success":
        with ThreadPoolExecutor(options.workers) as pool:
            list(pool.map(lambda one: succeed(one, options.out), points()))
    elif options.what == "time":
        for point in points():
            measure(point, options.out)
    else:
        report(options.out)


def succeed(point: Point, out: Path) -> None:
    """Evaluates a point on one core, unless it has been."""
    options = [f"n={N}", "group=25", "timing=0", "batch_invariant=false"]
    attempt(point, out / "success" / point.name, options, threads=1)


def measure(point: Point, out: Path) -> None:
    """Measures a point's milliseconds, unless they have been and it was evaluated."""
    if (out / "success" / point.name / "results.json").exists():
        attempt(point, out / "time" / point.name, ["n=1", "timing=1"])


def attempt(
    point: Point, out: Path, options: list[str], threads: int | None = None
) -> None:
    """Runs a point; the others go on where it fails."""
    try:
        evaluate([*point.overrides(), *options], out, threads)
        print(point.name, "done", flush=True)
    except RuntimeError as error:
        print(error, file=sys.stderr, flush=True)


def report(out: Path) -> None:
    """Writes budgets.json, budgets.md and budgets.png, and prints the table."""
    rows = {point: method_row(out / "success" / point.name) for point in points()}
    known = {point: row for point, row in rows.items() if row is not None}
    base = next((row for p, row in known.items() if p.name == DEFAULT), None)
    records = [record(point, row, base, out) for point, row in known.items()]
    (out / "budgets.json").write_text(json.dumps(records, indent=1) + "\n")
    table = "\n".join([HEAD, *(line(one) for one in records)]) + "\n"
    (out / "budgets.md").write_text(table)
    plot(records, out / "budgets.png")
    print(table)


HEAD = """\
| planner | size | ms p50 | success | 95% | gained / lost | p |
|---|---|---|---|---|---|---|"""


def record(point: Point, row: Row, base: Row | None, out: Path) -> dict[str, Any]:
    """Gives what is known of a point, paired with the default."""
    solved = [episode.success for episode in row.episodes]
    low, high = wilson_interval(sum(solved), len(solved))
    timed = method_row(out / "time" / point.name)
    timing = None if timed is None else timed.timing
    found: dict[str, Any] = {
        "planner": point.label,
        "size": point.size,
        "success": sum(solved) / len(solved),
        "low": low,
        "high": high,
        "n": len(solved),
        "ms_p50": None if timing is None else timing.p50_ms,
        "fp32_gflops": None if timing is None else timing.matmul.fp32_gflops,
    }
    if base is not None:
        pair = mcnemar(solved, [episode.success for episode in base.episodes])
        found["gained"], found["lost"] = pair.only_first, pair.only_second
        found["p"] = pair.p_value
    return found


def line(one: dict[str, Any]) -> str:
    """Gives a row of the table."""
    ms = "–" if one["ms_p50"] is None else f"{one['ms_p50']:.0f}"
    pair = (
        f"{one['gained']} / {one['lost']} | {one['p']:.2g}" if "p" in one else "– | –"
    )
    return (
        f"| {one['planner']} | {one['size']} | {ms} | {100 * one['success']:.0f}% | "
        f"{100 * one['low']:.0f} to {100 * one['high']:.0f} | {pair} |"
    )


def plot(records: list[dict[str, Any]], path: Path) -> None:
    """Draws success over milliseconds, one line for each planner."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullLocator

    figure, axes = plt.subplots(figsize=(9, 4.5))
    for place, label in enumerate(dict.fromkeys(one["planner"] for one in records)):
        own = [o for o in records if o["planner"] == label and o["ms_p50"]]
        own.sort(key=lambda one: one["ms_p50"])
        ms = [one["ms_p50"] * 1.007**place for one in own]  # so that bars stand apart
        rate = [100 * one["success"] for one in own]
        below = [100 * (one["success"] - one["low"]) for one in own]
        above = [100 * (one["high"] - one["success"]) for one in own]
        axes.errorbar(
            ms,
            rate,
            [below, above],
            label=label,
            color=f"C{place}" if place < 10 else "black",  # there are ten
            marker="o",
            ms=4,
            lw=1.2,
            elinewidth=0.6,
        )
    axes.set_xscale("log")
    ticks = [10, 15, 20, 30, 50, 70, 100, 200, 500, 1000]
    most = max((one["ms_p50"] or 0 for one in records), default=100)
    axes.set_xticks([t for t in ticks if t <= 1.3 * most], minor=False)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("milliseconds of an action that is planned, p50, one problem")
    axes.set_ylabel(f"pushes solved of {N} [%], 95% interval")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()

"""How fast planning is: every model shape, and how it grows.

    python -m benchmarks.planning table --out runs/planning
    python -m benchmarks.planning scaling --out runs/planning
    python -m benchmarks.planning overshoot

`table` plans with CEM on each shape at one and at sixteen problems, each row in a
process of its own, so that its peak memory is its own: milliseconds of an iteration and
of a plan, FLOP/s (matrix products and attention, counted by torch) as a share of the
matmul peak measured in the same process, peak memory. `scaling` measures an iteration
over N, H and B and fits a line to each. `overshoot` plans with a budget in milliseconds
and says by how much it was exceeded. Leave the machine alone meanwhile. Beside
stable-worldmodel: `python -m benchmarks.planning_peer`.

On a GPU: `--device cuda`, all rows at their published size; `--cuda-graphs` replays
plans that were recorded.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from benchmarks.planning_models import SHAPES, Shape
from planners import CEM, CMAES, ICEM, MPPI, Gradient, Planner, Refine
from planners.graphs import Graphed
from worldmodel.hardware import hardware, matmul_rate, synchronize
from worldmodel.inference.affine import onednn_types

BATCHES = (1, 16)
SCALED = ("reference", "lewm-sized")
REPEATS = 5
ITERATIONS = 3  # of a plan that an iteration is a third of


@dataclass(frozen=True)
class Measured:
    """A row of the table.

    Attributes:
        shape: which model.
        batch: problems B.
        samples: candidates N that were measured.
        published: candidates that the published search has.
        precision: of the matrix products.
        ms_iteration: of all problems, median [ms].
        ms_plan: of all problems, with the published iterations [ms]; where candidates
            were left out, None.
        gflop: an iteration's, counted.
        gflops: of an iteration.
        peak_gflops: of a square matrix product in the same precision and process.
        memory_mib: peak of the process, or on a GPU of its allocator.
        hardware: in one line.
        cuda_graphs: whether plans were replayed.
    """

    shape: str
    batch: int
    samples: int
    published: int
    precision: str
    ms_iteration: float
    ms_plan: float | None
    gflop: float
    gflops: float
    peak_gflops: float
    memory_mib: float
    hardware: str
    cuda_graphs: bool = False

    @property
    def share(self) -> float:
        """Gives the share of the matmul peak."""
        return self.gflops / self.peak_gflops


def main() -> None:
    """Measures a table or a scaling, or one row for the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("table", "scaling", "overshoot", "row"))
    parser.add_argument("--out", type=Path, default=Path("runs/planning"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="torch's; default all cores")
    parser.add_argument("--shape", choices=[*SHAPES], action="append")
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--cuda-graphs", action="store_true")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.what == "row":
        row = measure(
            options.shape[0],
            options.batch[0],
            options.device,
            options.precision,
            options.cuda_graphs,
            options.repeats,
        )
        print(json.dumps(asdict(row)))
    elif options.what == "table":
        table(options)
    elif options.what == "overshoot":
        overshoot()
    else:
        scaling(options)


def table(options: argparse.Namespace) -> None:
    """Measures each row in a process of its own; writes planning.json and .md.

    Rows that fail are named, the others are measured, and the exit status is 1.
    """
    rows, failed = [], False
    for shape in options.shape or SHAPES:
        for batch in options.batch or BATCHES:
            command = [sys.executable, "-m", "benchmarks.planning", "row"]
            command += ["--shape", shape, "--batch", str(batch)]
            command += ["--device", options.device, "--precision", options.precision]
            command += ["--repeats", str(options.repeats)]
            if options.threads:
                command += ["--threads", str(options.threads)]
            if options.cuda_graphs:
                command += ["--cuda-graphs"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{shape}, B = {batch}: {done.stderr.strip()[-300:]}", flush=True)
                failed = True
                continue
            rows.append(Measured(**json.loads(done.stdout.splitlines()[-1])))
            print(line(rows[-1]), flush=True)
    save(options.out / "planning.json", [asdict(row) for row in rows])
    text = "\n".join([HEAD, *map(line, rows)]) + "\n"
    (options.out / "planning.md").write_text(text)
    if failed:
        sys.exit(1)


HEAD = """\
| model | B | N (all) | ms / iteration | a plan | GFLOP | GFLOP/s | of peak | MiB |
|---|---|---|---|---|---|---|---|---|"""


def line(row: Measured) -> str:
    """Gives a row as Markdown."""
    plan = "not measured" if row.ms_plan is None else f"{row.ms_plan:.0f}"
    title = SHAPES[row.shape].title + (", CUDA graphs" if row.cuda_graphs else "")
    return (
        f"| {title} | {row.batch} | {row.samples} ({row.published}) | "
        f"{row.ms_iteration:.1f} | {plan} | {row.gflop:.2f} | {row.gflops:.0f} | "
        f"{100 * row.share:.0f}% of {row.peak_gflops:.0f} | {row.memory_mib:.0f} |"
    )


def measure(
    name: str,
    batch: int,
    device_name: str,
    precision: str,
    cuda_graphs: bool = False,
    repeats: int = REPEATS,
) -> Measured:
    """Measures one shape at one number of problems."""
    device, shape = torch.device(device_name), SHAPES[name]
    dtype = getattr(torch, precision)
    on_cpu = device.type == "cpu"
    samples = shape.on_cpu or shape.samples if on_cpu else shape.samples
    rows = shape.rows if on_cpu else shape.rows * shape.on_gpu
    cost = shape.make(batch, device, dtype, rows)
    side = 1024 if on_cpu else 8192
    before = matmul_rate(device, side=side)
    guess = torch.zeros(batch, shape.horizon, shape.action_size, device=device)
    seeds = torch.arange(batch, device=device)
    candidates = guess[:, None].expand(-1, samples, -1, -1).contiguous()
    gflop = count_flops(lambda: cost(candidates)) / 1e9

    def median(iterations: int, repeats: int) -> float:
        search = partial(searching(shape, samples, iterations).plan, cost)
        if cuda_graphs:
            search = Graphed(search)
            search(guess, seeds)
        spent = [seconds(lambda: search(guess, seeds), device) for _ in range(repeats)]
        return float(np.median(spent))

    iteration = median(ITERATIONS, repeats) / ITERATIONS
    plan = median(shape.iterations, 3) if samples == shape.samples else None
    after = matmul_rate(device, seconds=0.2, side=side)
    kind = "bf16_gflops" if dtype == torch.bfloat16 else "fp32_gflops"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if not on_cpu:
        memory = torch.cuda.max_memory_allocated(device) / 2**20
    return Measured(
        shape=name,
        batch=batch,
        samples=samples,
        published=shape.samples,
        precision=precision,
        ms_iteration=1e3 * iteration,
        ms_plan=None if plan is None else 1e3 * plan,
        gflop=gflop,
        gflops=gflop / iteration,
        peak_gflops=max(getattr(before, kind), getattr(after, kind)),
        memory_mib=memory,
        hardware=hardware(device).describe(),
        cuda_graphs=cuda_graphs,
    )


@torch.no_grad()
def count_flops(call: Callable[[], object]) -> int:
    """Gives the operations of a call's matrix products and attention."""

    def linear(x_shape: list[int], *_: object, out_shape: list[int]) -> int:
        return 2 * math.prod(x_shape) * out_shape[-1]

    def attention(*shapes: Any, out_shape: Any) -> int:
        del out_shape
        query, key, value, *_ = shapes
        return sdpa_flop_count(query, key, value)

    # what torch counts on GPUs alone
    on_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    known: dict[Any, Any] = {on_cpu: attention}
    if onednn_types():
        known[torch.ops.mkldnn._linear_pointwise] = linear
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        call()
    return counter.get_total_flops()


def searching(shape: Shape, samples: int, iterations: int) -> CEM:
    """Gives the published search, without what the published ones do not have."""
    elites = min(shape.elites, samples)
    return CEM(samples, elites, iterations, mean_momentum=0.0, std_momentum=0.0, kept=0)


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Gives how long a call takes [s]."""
    synchronize(device)
    began = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - began


def scaling(options: argparse.Namespace) -> None:
    """Measures an iteration over N, H and B; writes scaling.json and scaling.png."""
    device, dtype = torch.device(options.device), getattr(torch, options.precision)
    found = []
    for name in options.shape or SCALED:
        shape = SHAPES[name]
        for axis, values in axes(shape).items():
            ms = [point(shape, axis, value, device, dtype) for value in values]
            found.append(
                {
                    "shape": name,
                    "axis": axis,
                    "values": values,
                    "ms": ms,
                    **fit(values, ms),
                }
            )
            print(found[-1], flush=True)
    save(options.out / "scaling.json", found)
    draw(found, options.out / "scaling.png")


MANY = 1000  # iterations, which no budget here has time for
BUDGETED = (
    CEM(64, 8, MANY, kept=0),
    ICEM(64, 8, MANY, kept=2),
    MPPI(64, 16, MANY),
    CMAES(64, MANY),
    Gradient(20, MANY),
    Refine(CEM(64, 8, 3), Gradient(20, MANY)),
)


def overshoot(plans: int = 100) -> None:
    """Prints how late plans with a budget are, beside an iteration of theirs."""
    shape, device = SHAPES["reference"], torch.device("cpu")
    cost = shape.make(1, device, torch.bfloat16, shape.rows)
    guess = torch.zeros(1, shape.horizon, shape.action_size)

    def timed(search: Planner, seed: int) -> tuple[float, float]:
        began = time.perf_counter()
        plan = search.plan(cost, guess, torch.tensor([seed]))
        took = 1e3 * (time.perf_counter() - began)
        return took, took / len(plan.best_cost)

    for planner, budget in itertools.product(BUDGETED, (10.0, 30.0, 100.0)):
        search = replace(planner, budget_ms=budget)
        took, each = np.array([timed(search, seed) for seed in range(plans)]).T
        p50, p95 = np.percentile(took - budget, (50, 95))
        print(
            f"{type(planner).__name__:9s} budget {budget:.0f} ms: over by {p95:.1f} ms "
            f"at p95 (p50 {p50:.1f}), an iteration takes {np.median(each):.1f}, "
            f"n = {plans}",
            flush=True,
        )


def axes(shape: Shape) -> dict[str, list[int]]:
    """Gives what is varied, the rest being the shape's."""
    whole = shape.samples
    return {
        "N": [whole * part // 4 for part in (1, 2, 4, 6, 8, 12, 16)],
        "H": [1, 2, 4, 6, 8, 10, 12],
        "B": [1, 2, 4, 6, 8, 12, 16],
    }


def point(
    shape: Shape, axis: str, value: int, device: torch.device, dtype: torch.dtype
) -> float:
    """Gives the milliseconds of an iteration, with one of N, H and B changed."""
    size = {"N": shape.samples, "H": shape.horizon, "B": 1, axis: value}
    rows = shape.rows if device.type == "cpu" else shape.rows * shape.on_gpu
    cost = shape.make(size["B"], device, dtype, rows)
    guess = torch.zeros(size["B"], size["H"], shape.action_size, device=device)
    seeds = torch.arange(size["B"], device=device)
    planner = CEM(
        size["N"], min(shape.elites, size["N"]), iterations=ITERATIONS, kept=0
    )
    planner.plan(cost, guess, seeds)
    spent = [
        seconds(lambda: planner.plan(cost, guess, seeds), device) for _ in range(5)
    ]
    return 1e3 * float(np.median(spent)) / ITERATIONS


def fit(values: list[int], ms: list[float]) -> dict[str, float]:
    """Gives the line through the measurements and how well it fits."""
    slope, intercept = np.polyfit(values, ms, 1)
    line_of = slope * np.asarray(values) + intercept
    took = np.asarray(ms)
    rest = np.sum((took - line_of) ** 2) / np.sum((took - took.mean()) ** 2)
    return {"slope": float(slope), "intercept": float(intercept), "r2": float(1 - rest)}


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Draws the measurements and their lines, one panel for each axis."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(12, 3.6))
    for panel, axis in zip(panels, ("N", "H", "B"), strict=True):
        for one in (o for o in found if o["axis"] == axis):
            label = f"{SHAPES[one['shape']].title}, R² {one['r2']:.3f}"
            (dots,) = panel.plot(one["values"], one["ms"], "o", ms=4, label=label)
            ends = np.array([0, one["values"][-1]])
            panel.plot(
                ends,
                one["slope"] * ends + one["intercept"],
                lw=1,
                color=dots.get_color(),
            )
        panel.set_xlabel(
            {"N": "candidates N", "H": "horizon H", "B": "problems B"}[axis]
        )
        panel.set_ylabel("ms an iteration")
        panel.set_xlim(left=0)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def save(path: Path, value: object) -> None:
    """Writes JSON."""
    path.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()

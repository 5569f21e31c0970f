"""Do CPU and GPU plan alike, and a CUDA graph? The largest difference between plans.

    python -m benchmarks.planning_devices

Noise, candidates and orders are the same bits on both, so with an elementwise cost the
plans are; with the reference model's cost matrix products round differently. A plan
that is replayed on the GPU runs the kernels of the plan.
"""

from __future__ import annotations

import sys
from functools import partial

import torch
from torch import Tensor

from benchmarks.planning_models import SHAPES, Shape
from planners import CEM, ICEM, MPPI, RandomShooting
from planners.graphs import Graphed

PLANNERS = (
    CEM(64, 8, 3, std=0.5, correlation=0.5),
    ICEM(64, 8, 3, kept=2),
    MPPI(64, 16, 3, std=0.5),
    RandomShooting(192, std=0.5),
)
BATCH = 16


def main() -> None:
    """Prints the differences."""
    if not torch.cuda.is_available():
        sys.exit("planning_devices needs a GPU that torch can use; there is none here")
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    shape = SHAPES["reference-together"]
    models = {d: shape.make(BATCH, d, torch.float32, shape.rows) for d in (cpu, gpu)}
    for planner in PLANNERS:
        for name in ("elementwise", "reference"):
            costs = {
                d: elementwise if name == "elementwise" else models[d] for d in models
            }
            inputs = {d: start(shape, d) for d in models}
            plans = {
                d: planner.plan(costs[d], *inputs[d]).actions.cpu() for d in models
            }
            graphed = Graphed(partial(planner.plan, costs[gpu]))
            graphed(*start(shape, gpu, first_seed=BATCH))  # replayed with other inputs
            replayed = graphed(*inputs[gpu]).actions.cpu()
            kind = f"{type(planner).__name__:15s} {name:12s}"
            print(f"{kind} CPU and GPU: {apart(plans[cpu], plans[gpu])}")
            print(f"{kind} GPU and graph: {apart(plans[gpu], replayed)}")


def start(
    shape: Shape, device: torch.device, first_seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Gives a guess and the seeds."""
    guess = torch.zeros(BATCH, shape.horizon, shape.action_size, device=device)
    return guess, torch.arange(BATCH, device=device) + first_seed


def apart(some: Tensor, others: Tensor) -> str:
    """Says how far plans are apart."""
    gaps = (some - others).abs().amax(dim=(1, 2))
    same = f"{int((gaps == 0).sum())} of {len(gaps)} are the same bits"
    return f"largest difference {gaps.max():.2e}, {same}"


def elementwise(actions: Tensor) -> Tensor:
    """A bowl whose sums have one order on every device."""
    total = torch.zeros_like(actions[:, :, 0, 0])
    for step in range(actions.shape[2]):
        for dimension in range(actions.shape[3]):
            gap = actions[:, :, step, dimension] - 0.3
            total = total + gap * gap
    return total


if __name__ == "__main__":
    main()

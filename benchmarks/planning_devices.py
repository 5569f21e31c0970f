"""Do CPU and GPU plan alike? The largest difference between their plans.

    python -m benchmarks.planning_devices

Noise, candidates and orders are the same bits on both, so with an elementwise cost the
plans are; with the reference model's cost matrix products round differently.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from benchmarks.planning_models import SHAPES
from planners import CEM, ICEM, MPPI, RandomShooting

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
            plans = []
            for device in (cpu, gpu):
                cost = elementwise if name == "elementwise" else models[device]
                guess = torch.zeros(
                    BATCH, shape.horizon, shape.action_size, device=device
                )
                seeds = torch.arange(BATCH, device=device)
                plans.append(planner.plan(cost, guess, seeds).actions.cpu())
            apart = (plans[0] - plans[1]).abs().amax(dim=(1, 2))
            print(
                f"{type(planner).__name__:15s} {name:12s} largest difference "
                f"{apart.max():.2e}, plans that are the same bits: "
                f"{int((apart == 0).sum())} of {BATCH}"
            )


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

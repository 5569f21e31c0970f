"""Planners: batched search for cheap action sequences, with any cost function."""

from planners.cem import CEM
from planners.contract import CostFn, Guess, Plan, Planner
from planners.mpc import MPC, MPCState
from planners.mppi import MPPI
from planners.random_shooting import RandomShooting

__all__ = [
    "CEM",
    "MPC",
    "MPPI",
    "CostFn",
    "Guess",
    "MPCState",
    "Plan",
    "Planner",
    "RandomShooting",
]

"""Planners: batched search for cheap action sequences, with any cost function."""

from planners.cem import CEM
from planners.cmaes import CMAES
from planners.contract import CostFn, Guess, Plan, Planner
from planners.gradient import Gradient
from planners.icem import ICEM
from planners.mpc import MPC, MPCState
from planners.mppi import MPPI
from planners.penalties import Penalties
from planners.random_shooting import RandomShooting
from planners.refine import Refine

__all__ = [
    "CEM",
    "CMAES",
    "ICEM",
    "MPC",
    "MPPI",
    "CostFn",
    "Gradient",
    "Guess",
    "MPCState",
    "Penalties",
    "Plan",
    "Planner",
    "RandomShooting",
    "Refine",
]

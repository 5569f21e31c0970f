"""True distances with a slope: what each task's cost would be if all were known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envs.simulation import Quantities
from envs.tasks import find_task

Shape = Callable[[Quantities, Quantities], float]

_APPROACH_WEIGHT = 0.4
_BEHIND_M = 0.055
_PUSH_HEIGHT_M = 0.022
_ABOVE_M = 0.09
_GRASP_RADIUS_M = 0.02
_HELD_OPENING_M = 0.055
_OPEN_HAND_PENALTY_M = 0.02


def reach_shape(now: Quantities, goal: Quantities) -> float:
    """Gives the distance of the gripper from its goal [m]."""
    return _gap(now.gripper_pos_world, goal.gripper_pos_world)


def push_shape(now: Quantities, goal: Quantities) -> float:
    """Gives the cube's distance from its goal, and part of the way to behind it [m]."""
    cube, target = now.cube_pos_world[:2], goal.cube_pos_world[:2]
    left = _gap(cube, target)
    along = (target - cube) / max(left, 1e-6)
    relative = now.gripper_pos_world[:2] - cube
    is_behind = relative @ along < -_BEHIND_M / 2
    height = _PUSH_HEIGHT_M if is_behind else _ABOVE_M
    spot = np.array([*(cube - along * _BEHIND_M), height])
    # Near the goal the gripper need not be anywhere.
    weight = _APPROACH_WEIGHT * min(1.0, left / 0.03)
    return left + weight * _gap(now.gripper_pos_world, spot)


def pick_place_shape(now: Quantities, goal: Quantities) -> float:
    """Gives the cube's distance from its goal, and part of the way to a grasp [m]."""
    left = _gap(now.cube_pos_world, goal.cube_pos_world)
    reach = _gap(now.gripper_pos_world, now.cube_pos_world)
    is_open = now.gripper_opening > _HELD_OPENING_M
    # At the cube the hand should close, away from it it should be open.
    wrong_hand = is_open if reach < _GRASP_RADIUS_M else not is_open
    weight = _APPROACH_WEIGHT * min(1.0, left / 0.03)
    return left + weight * (reach + _OPEN_HAND_PENALTY_M * wrong_hand)


SHAPES: dict[str, Shape] = {
    "Reach": reach_shape,
    "Push": push_shape,
    "PickPlace": pick_place_shape,
}


def task_shape(task: str) -> Shape:
    """Gives the shaped distance of a task."""
    return SHAPES[find_task(task).name]


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b))

"""Scripted experts: they see the true state and solve the tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from envs.scene import CUBE_HALF_SIDE_M
from envs.simulation import ACTION_SCALES, Quantities

OPEN, CLOSE, KEEP = -1.0, 1.0, 0.0

# `toward` scales all three displacements alike.
assert ACTION_SCALES[0] == ACTION_SCALES[1] == ACTION_SCALES[2]

_CARRY_HEIGHT_M = 0.12
_PUSH_HEIGHT_M = 0.010
_AT_M = 0.008
_CLOSED_M = 0.055
# From the cube's centre to the gripper's when both touch (finger half-depth 12 mm).
_TOUCH_M = CUBE_HALF_SIDE_M + 0.014


class Expert(Protocol):
    """Chooses an action from the true quantities."""

    def act(self, now: Quantities) -> np.ndarray:
        """The next action (5,) in [-1, 1]."""
        ...

    def is_done(self, now: Quantities) -> bool:
        """Whether nothing is left to do."""
        ...


def toward(
    now: Quantities, target: np.ndarray, yaw: float, gripper: float
) -> np.ndarray:
    """The action (5,) that moves straight at a gripper position and yaw."""
    move = (target - now.gripper_pos_world) / ACTION_SCALES[0]
    move /= max(1.0, np.abs(move).max())
    turn = np.clip((yaw - now.gripper_yaw) / ACTION_SCALES[3], -1.0, 1.0)
    return np.array([*move, turn, gripper])


def nearest_grasp_yaw(now: Quantities, offset: float = 0.0) -> float:
    """The gripper yaw nearest to now that lines the fingers up with cube faces."""
    quarter = math.pi / 2
    yaw = now.cube_yaw + offset
    turns = round((now.gripper_yaw - yaw) / quarter)
    yaw += turns * quarter
    # Within the commanded range, which a quarter turn can always reach.
    return yaw - quarter * round(yaw / math.pi) if abs(yaw) > quarter else yaw


@dataclass
class ReachExpert:
    """Moves straight to a gripper position and yaw."""

    position: np.ndarray
    yaw: float
    gripper: float = KEEP

    def act(self, now: Quantities) -> np.ndarray:
        """The next action (5,)."""
        return toward(now, self.position, self.yaw, self.gripper)

    def is_done(self, now: Quantities) -> bool:
        """Whether the gripper has arrived."""
        gap = np.linalg.norm(now.gripper_pos_world - self.position)
        return bool(gap < 0.004 and abs(now.gripper_yaw - self.yaw) < 0.03)


@dataclass
class PickPlaceExpert:
    """Grasps the cube from above, carries it to the goal, lets go on the table.

    Attributes:
        goal: (3,) where the cube's centre shall be [m].
        grasp_offset: (3,) error of the grasp point [m]; botches it when large.
    """

    goal: np.ndarray
    grasp_offset: np.ndarray | None = None
    _holding: bool = False
    _released: bool = False

    def act(self, now: Quantities) -> np.ndarray:
        """The next action (5,)."""
        if self._holding:
            return self._carry(now)
        return self._grasp(now)

    def is_done(self, now: Quantities) -> bool:
        """Whether the cube is let go at the goal, or held there in the air."""
        if self._released:
            return now.gripper_opening > _CLOSED_M
        gap = np.linalg.norm(now.cube_pos_world - self.goal)
        in_air = self.goal[2] > CUBE_HALF_SIDE_M + 0.01
        return bool(self._holding and in_air and gap < 0.006)

    def _grasp(self, now: Quantities) -> np.ndarray:
        target = now.cube_pos_world.copy()
        if self.grasp_offset is not None:
            target = target + self.grasp_offset
        target[2] = max(target[2] - 0.013, 0.010)
        yaw = nearest_grasp_yaw(now)
        gap = np.linalg.norm(now.gripper_pos_world[:2] - target[:2])
        aligned = gap < _AT_M and abs(now.gripper_yaw - yaw) < 0.1
        if aligned and now.gripper_pos_world[2] - target[2] < _AT_M:
            self._holding = 0.03 < now.gripper_opening < _CLOSED_M
            return np.array([0.0, 0.0, 0.0, 0.0, CLOSE])
        low = now.gripper_pos_world[2] < target[2] + 0.055
        if not aligned:
            above = target + (0.0, 0.0, 0.075)
            if low and gap > _AT_M:
                above[:2] = now.gripper_pos_world[:2]
            return toward(now, above, yaw, OPEN)
        return toward(now, target, yaw, OPEN)

    def _carry(self, now: Quantities) -> np.ndarray:
        lost = np.linalg.norm(now.cube_pos_world - now.gripper_pos_world) > 0.04
        if lost:
            self._holding = False
            return toward(now, now.gripper_pos_world + (0, 0, 0.05), 0.0, OPEN)
        if self._released:
            return np.array([0.0, 0.0, 0.0, 0.0, OPEN])
        offset = now.gripper_pos_world - now.cube_pos_world
        target = self.goal + offset
        gap = np.linalg.norm(now.gripper_pos_world[:2] - target[:2])
        if gap > 0.04:
            target[2] = max(target[2], _CARRY_HEIGHT_M)
        elif gap > _AT_M:
            target[2] = max(target[2], min(_CARRY_HEIGHT_M, target[2] + 0.02))
        on_table = self.goal[2] < CUBE_HALF_SIDE_M + 0.01
        arrived = gap < _AT_M and now.cube_pos_world[2] < CUBE_HALF_SIDE_M + 0.006
        if on_table and arrived:
            self._released = True
            return np.array([0.0, 0.0, 0.0, 0.0, OPEN])
        return toward(now, target, now.gripper_yaw, CLOSE)


@dataclass
class PushExpert:
    """Pushes the cube over the table with closed fingers, re-aiming every step.

    Attributes:
        goal: (3,) where the cube's centre shall be [m]; its height is ignored.
        tolerance: how near the cube must be to stop [m].
    """

    goal: np.ndarray
    tolerance: float = 0.008

    def act(self, now: Quantities) -> np.ndarray:
        """The next action (5,)."""
        cube = now.cube_pos_world[:2]
        gap = self.goal[:2] - cube
        distance = max(float(np.linalg.norm(gap)), 1e-6)
        along = gap / distance
        across = np.array([-along[1], along[0]])
        relative = now.gripper_pos_world[:2] - cube
        behind, aside = float(relative @ along), float(relative @ across)
        yaw = self._face_yaw(now, along)
        low = now.gripper_pos_world[2] < _PUSH_HEIGHT_M + 0.012
        if low and behind < -_TOUCH_M + 0.02 and abs(aside) < 0.012:
            step = min(distance, 0.045)
            target = cube + along * (step - _TOUCH_M) - across * aside * 0.5
            return toward(now, np.array([*target, _PUSH_HEIGHT_M]), yaw, CLOSE)
        return self._go_behind(now, along, yaw)

    def is_done(self, now: Quantities) -> bool:
        """Whether the cube lies within the tolerance of the goal."""
        gap = np.linalg.norm(self.goal[:2] - now.cube_pos_world[:2])
        return bool(gap < self.tolerance)

    def _go_behind(self, now: Quantities, along: np.ndarray, yaw: float) -> np.ndarray:
        """Backs off and comes down at the far side of the cube."""
        cube = now.cube_pos_world[:2]
        spot = cube - along * (_TOUCH_M + 0.022)
        here = now.gripper_pos_world
        gap = float(np.linalg.norm(here[:2] - spot))
        if gap < 0.012:
            return toward(now, np.array([*spot, _PUSH_HEIGHT_M]), yaw, CLOSE)
        near = float(np.linalg.norm(here[:2] - cube)) < 0.07
        beyond = float((here[:2] - cube) @ along) > -_TOUCH_M
        if here[2] > 0.07 or not beyond:
            height = here[2] if gap > 0.04 else _PUSH_HEIGHT_M
            height = max(height, _PUSH_HEIGHT_M)
            if beyond:
                height = max(here[2], 0.08)
            return toward(now, np.array([*spot, height]), yaw, CLOSE)
        rise = np.array([*here[:2], 0.09])
        if near:
            away = (here[:2] - cube) / max(np.linalg.norm(here[:2] - cube), 1e-6)
            rise[:2] += 0.01 * away
        return toward(now, rise, yaw, CLOSE)

    @staticmethod
    def _face_yaw(now: Quantities, along: np.ndarray) -> float:
        """Gripper yaw whose flat side (its x axis) faces the push direction."""
        yaw = math.atan2(along[1], along[0])
        return yaw - math.pi * round(yaw / math.pi)

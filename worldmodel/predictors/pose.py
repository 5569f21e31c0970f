"""Poses of an end effector and the actions between them, as V-JEPA 2-AC has them.

A state (7) is x, y, z [m] of the end effector in the robot's base frame, its Euler
angles [rad] about the base's fixed axes x, then y, then z ("xyz" of scipy), and how
far the gripper is closed, 0 open to 1 closed. An action (7) is the difference of two
states: of places, of the rotation (next rotation times the inverse of this one, as
Euler angles), of the gripper. The next state follows from state and action; no network
predicts it. Assran et al. 2025, and its code, which computes in float64 as this does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from worldmodel.errors import WorldModelError

SIZE = 7
_LOCKED = 1e-7  # cosine of the pitch below which roll and yaw are one turn
# The largest values that recorded poses may have: place [m], angle [rad], closedness.
_FARTHEST, _MOST_TURNED, _SHUT = 10.0, 2 * math.pi, 1.01


def advance(states: Tensor, actions: Tensor) -> Tensor:
    """Gives the states (..., 7) after actions (..., 7) in states that broadcast."""
    for name, value in (("states", states), ("actions", actions)):
        _require_pose(name, value)
    pose, action = states.double(), actions.double()
    place = pose[..., :3] + action[..., :3]
    turned = rotation_matrix(action[..., 3:6]) @ rotation_matrix(pose[..., 3:6])
    closed = (pose[..., 6:] + action[..., 6:]).clamp(0.0, 1.0)
    parts = torch.broadcast_tensors(place, euler_angles(turned))
    return torch.cat((*parts, closed.expand_as(place[..., :1])), dim=-1).to(
        states.dtype
    )


def between(states: Tensor) -> Tensor:
    """Gives the actions (..., T - 1, 7) that lead from each of states (..., T, 7)."""
    _require_pose("states", states)
    pose = states.double()
    turns = rotation_matrix(pose[..., 3:6])  # (..., T, 3, 3)
    turn = turns[..., 1:, :, :] @ turns[..., :-1, :, :].transpose(-1, -2)
    change = pose[..., 1:, :] - pose[..., :-1, :]
    parts = (change[..., :3], euler_angles(turn), change[..., 6:])
    return torch.cat(parts, dim=-1).to(states.dtype)


def along(state: Tensor, actions: Tensor) -> Tensor:
    """Gives the states (..., H, 7) after each of actions (..., H, 7).

    `state` (..., 7), of a shape that broadcasts, is the one that the first is taken in.
    """
    states = []
    for step in range(actions.shape[-2]):
        state = advance(state, actions[..., step, :])
        states.append(state)
    return torch.stack(states, dim=-2)


def require_recorded(states: Tensor) -> None:
    """Checks that recorded states (N, 7) can be poses in these units.

    Raises:
        WorldModelError: a number is none, too large for metres or radians, or the
            gripper is not between 0, open, and 1, closed.
    """
    _require_pose("states", states)
    limits = (
        ("x, y, z", states[:, :3].abs(), _FARTHEST, "metres, within 10"),
        ("Euler angles", states[:, 3:6].abs(), _MOST_TURNED, "radians, within 2 pi"),
        ("the gripper", (states[:, 6:] - 0.5).abs(), _SHUT - 0.5, "in [0, 1], 1 shut"),
    )
    for name, sizes, most, wanted in limits:
        wrong = (~(sizes <= most)).any(1).nonzero()  # NaN is not below anything
        if len(wrong):
            row = int(wrong[0])
            raise WorldModelError(
                f"{name} of a state must be {wanted}, got a state "
                f"{[round(value, 4) for value in states[row].tolist()]} at frame {row}"
            )


def rotation_matrix(angles: Tensor) -> Tensor:
    """Gives the rotations (..., 3, 3) of Euler angles (..., 3) [rad]: Rz Ry Rx."""
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(-1), angles.sin().unbind(-1)
    rows = (
        (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
        (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
        (-sy, cy * sx, cy * cx),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def euler_angles(rotation: Tensor) -> Tensor:
    """Gives the Euler angles (..., 3) [rad] of rotations (..., 3, 3).

    Roll and yaw are in [-pi, pi], pitch in [-pi / 2, pi / 2]. Where pitch is a right
    angle, roll and yaw are one turn, and yaw is 0, as scipy has it.
    """
    level = torch.hypot(rotation[..., 0, 0], rotation[..., 1, 0])  # cosine of pitch
    pitch = torch.atan2(-rotation[..., 2, 0], level)
    locked = level < _LOCKED
    roll = torch.where(
        locked,
        torch.atan2(-rotation[..., 1, 2], rotation[..., 1, 1]),
        torch.atan2(rotation[..., 2, 1], rotation[..., 2, 2]),
    )
    yaw = torch.atan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return torch.stack((roll, pitch, yaw.masked_fill(locked, 0.0)), dim=-1)


def _require_pose(name: str, value: Tensor) -> None:
    if value.ndim < 1 or value.shape[-1] != SIZE:
        raise WorldModelError(
            f"{name} must be (..., 7): x, y, z [m], three Euler angles [rad] and how "
            f"far the gripper is closed, got {tuple(value.shape)}"
        )

"""True simulations of many action sequences, on several threads."""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.rollout import Rollout

from envs.arm import POSE_HIGH, POSE_LOW
from envs.batched_ik import BatchedArmIK
from envs.scene import FINGER_TRAVEL_M
from envs.simulation import (
    ACTION_SCALES,
    ARM,
    FINGERS,
    GRIPPER_DEAD_BAND,
    SEGMENTS,
    STATE_SIGNATURE,
    SUBSTEPS,
    Simulation,
    ramp,
)

_PHYSICS = mujoco.mjtState.mjSTATE_FULLPHYSICS
_CHUNK = 1024  # sequences simulated at once: each keeps every physics step in memory
_LATCH, _STEPS = -2, -1  # places in a state, after the commanded pose


class SimulatorThreads:
    """Rolls out what `Simulation.step` does, many sequences side by side.

    Joint targets follow from the actions alone: commanded poses are added up for all
    sequences at once, solved in one batch, and MuJoCo's own threads run the physics.
    Differs from `Simulation` by the last bits of the inverse kinematics (1e-8 rad).

    Args:
        threads: that simulate, at least 1.
    """

    def __init__(self, threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self._simulation = Simulation()
        self._ik = BatchedArmIK()
        model = self._simulation.model
        self._data = [mujoco.MjData(model) for _ in range(threads)]
        # Where one thread is asked for, the calling one does the work.
        self._rollout = Rollout(nthread=threads if threads > 1 else 0)

    def rollout(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Gives the states (B, N, H, n) after each step.

        MuJoCo's warm start is not known within a roll-out; in the states given it is 0.

        Args:
            states: float64 (B, n) where the B problems are now.
            actions: (B, N, H, A) in [-1, 1]; values outside are clipped.

        Raises:
            ValueError: the shapes do not fit together.
        """
        size = len(ACTION_SCALES)
        if actions.ndim != 4 or (len(actions), actions.shape[-1]) != (
            len(states),
            size,
        ):
            raise ValueError(
                f"actions must be ({len(states)}, N, H, {size}), got {actions.shape}"
            )
        batch, candidates, horizon, _ = actions.shape
        begins = [
            np.repeat(part, candidates, axis=0) for part in self._beginnings(states)
        ]
        each = np.repeat(states, candidates, axis=0)  # (B N, n)
        flat = np.clip(actions.reshape(-1, horizon, size), -1.0, 1.0)
        commands = self._commands(each, flat)
        closed = _latched(each[:, _LATCH] > 0.5, flat[..., 4])
        ends = [
            self._simulate(
                [part[rows] for part in begins], commands[rows], closed[rows]
            )
            for rows in _chunks(len(each))
        ]
        physics, control = (np.concatenate(part) for part in zip(*ends, strict=True))
        whole = self._states(each, physics, control)
        whole[..., self._simulation.integration_size : _LATCH] = commands
        whole[..., _LATCH] = closed
        return whole.reshape(batch, candidates, horizon, -1)

    def _commands(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Commanded poses (M, H, 4) of actions (M, H, A) from states (M, n)."""
        command = states[:, self._simulation.integration_size : _LATCH]
        poses = []
        for step in range(actions.shape[1]):
            move = actions[:, step, :4] * ACTION_SCALES[:4]
            command = np.clip(command + move, POSE_LOW, POSE_HIGH)
            poses.append(command)
        return np.stack(poses, axis=1)

    def _simulate(
        self, begins: list[np.ndarray], commands: np.ndarray, closed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Physics states (M, H, ·) and controls at the end of each control step."""
        model = self._simulation.model
        physics, warm, controls = begins
        count, horizon = commands.shape[:2]
        targets = self._ik.solve(commands.reshape(-1, 4)).reshape(count, horizon, -1)
        before = np.concatenate([controls[:, None, ARM], targets[:, :-1]], axis=1)
        ramps = np.array([ramp(segment) for segment in range(SEGMENTS)])
        path = before[:, :, None] + ramps[:, None] * (targets - before)[:, :, None]
        control = np.empty((count, horizon, SEGMENTS, model.nu))
        control[..., ARM] = path
        travel = np.where(closed, 0.0, FINGER_TRAVEL_M)
        control[..., FINGERS] = travel[:, :, None, None]
        control = np.repeat(control.reshape(count, -1, model.nu), SUBSTEPS, axis=1)
        after = np.empty((*control.shape[:2], physics.shape[1]))
        self._rollout.rollout(
            model, self._data, physics, control, initial_warmstart=warm, state=after
        )
        ends = slice(SEGMENTS * SUBSTEPS - 1, None, SEGMENTS * SUBSTEPS)
        # Copies: views would keep every physics step in memory.
        return after[:, ends].copy(), control[:, ends].copy()

    def _beginnings(self, states: np.ndarray) -> list[np.ndarray]:
        """Physics, warm starts and controls (B, ·) of states (B, n)."""
        model, data = self._simulation.model, self._simulation.data
        found = []
        for state in states:
            self._simulation.set_state(state)
            physics = np.empty(mujoco.mj_stateSize(model, _PHYSICS))
            mujoco.mj_getState(model, data, physics, _PHYSICS)
            found.append((physics, data.qacc_warmstart.copy(), data.ctrl.copy()))
        return [np.stack(part) for part in zip(*found, strict=True)]

    def _states(
        self, before: np.ndarray, physics: np.ndarray, control: np.ndarray
    ) -> np.ndarray:
        """State vectors (M, H, n), but for the commanded poses and the latch."""
        model, data = self._simulation.model, self._simulation.data
        mujoco.mj_resetData(model, data)
        count, horizon = physics.shape[:2]
        size = self._simulation.integration_size
        whole = np.empty((count, horizon, before.shape[1]))
        for row, step in np.ndindex(count, horizon):
            mujoco.mj_setState(model, data, physics[row, step], _PHYSICS)
            data.ctrl[:] = control[row, step]
            mujoco.mj_getState(model, data, whole[row, step, :size], STATE_SIGNATURE)
        whole[..., _STEPS] = before[:, _STEPS, None] + np.arange(1, horizon + 1)
        return whole


def _chunks(count: int) -> list[slice]:
    return [slice(first, first + _CHUNK) for first in range(0, count, _CHUNK)]


def _latched(closed: np.ndarray, gripper: np.ndarray) -> np.ndarray:
    """Bool (M, H): the latch after each step, from closed (M,) and actions (M, H)."""
    latches = []
    for step in range(gripper.shape[1]):
        moves = np.abs(gripper[:, step]) > GRIPPER_DEAD_BAND
        closed = np.where(moves, gripper[:, step] > 0, closed)
        latches.append(closed)
    return np.stack(latches, axis=1)

"""The physics of the table-top: a commanded gripper pose drives arm and cube."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.arm import POSE_HIGH, POSE_LOW, ArmIK
from envs.scene import CUBE_HALF_SIDE_M, FINGER_TRAVEL_M, TIMESTEP_S, scene_xml

CONTROL_RATE_HZ = 5.0
ACTION_NAMES = ("dx", "dy", "dz", "dyaw", "gripper")
MOTION_SIZE = ACTION_NAMES.index(
    "gripper"
)  # the first dimensions move, the last latches
ACTION_SCALES = (0.05, 0.05, 0.05, 0.3, 1.0)
GRIPPER_DEAD_BAND = 0.3
PROPRIO_SIZE = 20

# The joint targets move for the first part of a control step and then rest, so
# that the arm has arrived when the next frame is taken.
SEGMENTS = 10
_MOVING_SEGMENTS = 7
SUBSTEPS = round(1 / (CONTROL_RATE_HZ * TIMESTEP_S * SEGMENTS))
STATE_SIGNATURE = mujoco.mjtState.mjSTATE_INTEGRATION
_ARM_JOINTS = 7
ARM = slice(0, _ARM_JOINTS)
FINGERS = slice(_ARM_JOINTS, _ARM_JOINTS + 2)
_CUBE = slice(_ARM_JOINTS + 2, _ARM_JOINTS + 9)

# action_spec as plain JSON: what one action dimension means.
ACTION_SPEC = {
    "names": list(ACTION_NAMES),
    "units": ["m", "m", "m", "rad", "latch"],
    "scales": list(ACTION_SCALES),
    "frames": ["world", "world", "world", "world z", "gripper"],
    "rate_hz": CONTROL_RATE_HZ,
    "block": 1,
}


@dataclass(frozen=True)
class Quantities:
    """Named physical quantities of one moment.

    Attributes:
        gripper_pos_world: (3,) point between the fingertips [m].
        gripper_yaw: rotation of the gripper about world z [rad].
        gripper_opening: distance between the fingers [m], 0 to 0.08.
        cube_pos_world: (3,) centre of the cube [m].
        cube_quat: (4,) orientation of the cube (w, x, y, z).
        cube_yaw: direction of the cube's own x axis about world z [rad].
    """

    gripper_pos_world: np.ndarray
    gripper_yaw: float
    gripper_opening: float
    cube_pos_world: np.ndarray
    cube_quat: np.ndarray
    cube_yaw: float

    def as_dict(self) -> dict[str, np.ndarray | float]:
        """The quantities by name, for a step's `info`."""
        return dict(vars(self))


class Simulation:
    """One table-top: physics, inverse kinematics and the gripper latch.

    The state vector holds MuJoCo's integration state, the commanded pose, the
    latch and the number of steps taken; nothing else decides the future.
    """

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(scene_xml())
        self.data = mujoco.MjData(self.model)
        self._ik = ArmIK()
        self._integration_size = mujoco.mj_stateSize(self.model, STATE_SIGNATURE)
        self.command = np.array([0.5, 0.0, 0.15, 0.0])
        self.closed = False
        self.steps = 0

    @property
    def state_size(self) -> int:
        """Length of the state vector."""
        return self._integration_size + self.command.size + 2

    def get_state(self) -> np.ndarray:
        """The state as a flat float64 vector (state_size,)."""
        integration = np.empty(self._integration_size)
        mujoco.mj_getState(self.model, self.data, integration, STATE_SIGNATURE)
        return np.concatenate(
            [integration, self.command, [float(self.closed), float(self.steps)]]
        )

    def set_state(self, state: np.ndarray) -> None:
        """Restores a vector that `get_state` gave.

        Raises:
            ValueError: the vector has another length or is not finite.
        """
        state = np.asarray(state, dtype=np.float64)
        if state.shape != (self.state_size,):
            raise ValueError(
                f"state must have shape ({self.state_size},), got {state.shape}; "
                "pass a vector from get_state of the same scene"
            )
        if not np.isfinite(state).all():
            index = int(np.flatnonzero(~np.isfinite(state))[0])
            raise ValueError(f"state must be finite, got {state[index]} at {index}")
        integration = state[: self._integration_size]
        mujoco.mj_setState(self.model, self.data, integration, STATE_SIGNATURE)
        self.command = state[self._integration_size : -2].copy()
        self.closed = bool(state[-2])
        self.steps = int(state[-1])
        # mj_forward overwrites the solver's warm start, which the next step uses.
        warm_start = self.data.qacc_warmstart.copy()
        mujoco.mj_forward(self.model, self.data)
        self.data.qacc_warmstart[:] = warm_start

    def place(
        self, pose: np.ndarray, closed: bool, cube_xy: np.ndarray, cube_yaw: float
    ) -> None:
        """Starts afresh: gripper at `pose`, cube flat on the table, all at rest.

        Args:
            pose: (4,) x, y, z [m] in the world, yaw [rad].
            closed: whether the gripper is closed.
            cube_xy: (2,) centre of the cube on the table [m].
            cube_yaw: rotation of the cube about world z [rad].
        """
        mujoco.mj_resetData(self.model, self.data)
        self.command = np.clip(pose, POSE_LOW, POSE_HIGH)
        self.closed = closed
        self.steps = 0
        self.data.qpos[ARM] = self._ik.solve(self.command)
        self.data.qpos[FINGERS] = self._finger_target()
        half = cube_yaw / 2
        self.data.qpos[_CUBE] = [
            *cube_xy,
            self.model.geom("cube").size[2],
            math.cos(half),
            0.0,
            0.0,
            math.sin(half),
        ]
        self.data.ctrl[ARM] = self.data.qpos[ARM]
        self.data.ctrl[FINGERS] = self._finger_target()
        mujoco.mj_step(self.model, self.data, SUBSTEPS * SEGMENTS)

    def step(self, action: np.ndarray) -> None:
        """Advances by one control step (0.2 s).

        Args:
            action: (5,) in [-1, 1]; values outside are clipped. See ACTION_SPEC.
        """
        action = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        move = action[:4] * ACTION_SCALES[:4]
        self.command = np.clip(self.command + move, POSE_LOW, POSE_HIGH)
        if abs(action[4]) > GRIPPER_DEAD_BAND:
            self.closed = bool(action[4] > 0)
        start = self.data.ctrl[ARM].copy()
        change = self._ik.solve(self.command) - start
        self.data.ctrl[FINGERS] = self._finger_target()
        for segment in range(SEGMENTS):
            self.data.ctrl[ARM] = start + ramp(segment) * change
            mujoco.mj_step(self.model, self.data, SUBSTEPS)
        self.steps += 1

    def quantities(self) -> Quantities:
        """The named physical quantities now."""
        data = self.data
        site = data.site("gripper")
        rotation = site.xmat.reshape(3, 3)
        cube = data.body("cube")
        cube_rotation = cube.xmat.reshape(3, 3)
        return Quantities(
            gripper_pos_world=site.xpos.copy(),
            gripper_yaw=math.atan2(rotation[1, 0], rotation[0, 0]),
            gripper_opening=float(data.qpos[FINGERS].sum()),
            cube_pos_world=cube.xpos.copy(),
            cube_quat=cube.xquat.copy(),
            cube_yaw=math.atan2(cube_rotation[1, 0], cube_rotation[0, 0]),
        )

    def proprio(self) -> np.ndarray:
        """What the robot feels, float32 (20,).

        Gripper position [m] (3), sine and cosine of its yaw (2), opening [m] (1),
        joint angles [rad] (7), joint rates [rad/s] (7).
        """
        now = self.quantities()
        yaw = (math.sin(now.gripper_yaw), math.cos(now.gripper_yaw))
        parts = [now.gripper_pos_world, yaw, [now.gripper_opening]]
        joints = [self.data.qpos[ARM], self.data.qvel[ARM]]
        return np.concatenate(parts + joints).astype(np.float32)

    def _finger_target(self) -> float:
        return 0.0 if self.closed else FINGER_TRAVEL_M

    @property
    def integration_size(self) -> int:
        """Length of the part of the state vector that is MuJoCo's."""
        return self._integration_size


def ramp(segment: int) -> float:
    """Share of the motion commanded in one segment: a smooth step, then rest."""
    x = min(1.0, (segment + 1) / _MOVING_SEGMENTS)
    return x * x * (3 - 2 * x)


def random_start(simulation: Simulation, rng: np.random.Generator) -> None:
    """Places gripper and cube at random, the gripper clear of the cube."""
    low, high = POSE_LOW.copy(), POSE_HIGH.copy()
    low[:3] += (0.03, 0.03, 0.02)
    high[:3] -= (0.03, 0.03, 0.04)
    cube_xy = rng.uniform((0.38, -0.20), (0.64, 0.20))
    cube_yaw = rng.uniform(-math.pi, math.pi)
    while True:
        pose = rng.uniform(low, high)
        beside = np.linalg.norm(pose[:2] - cube_xy) > 0.10
        above = pose[2] > 2 * CUBE_HALF_SIDE_M + 0.03
        if beside or above:
            break
    closed = bool(rng.random() < 0.5)
    simulation.place(pose, closed, cube_xy, cube_yaw)

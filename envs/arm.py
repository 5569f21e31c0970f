"""From a commanded gripper pose to joint targets, by inverse kinematics."""

from __future__ import annotations

import math

import mink
import mujoco
import numpy as np

from envs.scene import arm_xml

# A bent-elbow posture above the middle of the tray [rad].
HOME_JOINTS = (0.0, 0.3, 0.0, -2.2, 0.0, 2.5, math.pi / 4)
# Where the commanded gripper pose may be (x, y, z [m], yaw [rad]).
POSE_LOW = np.array([0.33, -0.27, 0.008, -math.pi / 2])
POSE_HIGH = np.array([0.69, 0.27, 0.30, math.pi / 2])

_IK_STEPS = 6
POSTURE_COST = 1e-3
_ARM_JOINTS = 7


class ArmIK:
    """Solves for the joint angles of a downward gripper pose.

    Every solve starts from the same posture (turned toward the target), so the
    joint targets are a function of the pose alone: two paths to one pose end in
    one arm configuration. Not thread-safe: use one instance per thread.
    """

    def __init__(self) -> None:
        self._model = mujoco.MjModel.from_xml_string(arm_xml())
        self._configuration = mink.Configuration(self._model)
        self._frame = mink.FrameTask("gripper", "site", 1.0, 1.0, lm_damping=1e-6)
        self._posture = mink.PostureTask(self._model, cost=POSTURE_COST)
        self._limits = [mink.ConfigurationLimit(self._model)]

    def solve(self, pose: np.ndarray) -> np.ndarray:
        """Joint angles that bring the gripper to `pose`.

        Args:
            pose: (4,) x, y, z [m] in the world and yaw [rad] about world z.

        Returns:
            (7,) joint angles [rad], within the Panda's limits.
        """
        configuration = self._configuration
        start = self._start(pose)
        configuration.update(start)
        self._posture.set_target(start)
        self._frame.set_target(_downward(pose))
        tasks = [self._frame, self._posture]
        for _ in range(_IK_STEPS):
            velocity = mink.solve_ik(
                configuration, tasks, 1.0, "daqp", limits=self._limits
            )
            configuration.integrate_inplace(velocity, 1.0)
        return configuration.q[:_ARM_JOINTS].copy()

    def _start(self, pose: np.ndarray) -> np.ndarray:
        q = np.zeros(self._model.nq)
        q[:_ARM_JOINTS] = HOME_JOINTS
        q[0] = math.atan2(pose[1], pose[0])
        q[6] += q[0] - pose[3]
        return q


def _downward(pose: np.ndarray) -> mink.SE3:
    """The gripper frame that points down, its fingers opening along yaw."""
    half = pose[3] / 2
    # Rotation about world z by yaw, after a half turn about x: (w, x, y, z).
    wxyz = np.array([0.0, math.cos(half), math.sin(half), 0.0])
    rotation = mink.SO3(wxyz)
    return mink.SE3.from_rotation_and_translation(rotation, np.asarray(pose[:3]))

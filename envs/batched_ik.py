"""Inverse kinematics of many poses at once: `ArmIK` without its loop over them."""

from __future__ import annotations

import mujoco
import numpy as np

from envs.arm import HOME_JOINTS, POSTURE_COST, ArmIK
from envs.scene import arm_xml

_STEPS = 8
_LM_DAMPING = 1e-6
_MARGIN_RAD = 1e-6  # from a joint limit


class BatchedArmIK:
    """Joint angles of many gripper poses, to 1e-8 rad those of `ArmIK`.

    The same least squares (pose error, a little posture) by the same Gauss-Newton steps
    from the same start, in numpy over all poses. Limits are not part of it: poses whose
    solution lies at one are solved by `ArmIK`, one by one.
    """

    def __init__(self) -> None:
        model = mujoco.MjModel.from_xml_string(arm_xml())
        self._single = ArmIK()
        joints = [joint for joint in range(model.njnt) if model.jnt_range[joint].any()]
        self._joints = joints[: len(HOME_JOINTS)]
        self._low, self._high = model.jnt_range[self._joints].T
        self._axes = model.jnt_axis[self._joints]
        self._before = [
            _chain(model, self._body_above(model, place), int(model.jnt_bodyid[joint]))
            for place, joint in enumerate(self._joints)
        ]
        site = model.site("gripper").id
        last = int(model.jnt_bodyid[self._joints[-1]])
        rotation, offset = _chain(model, last, int(model.site_bodyid[site]))
        self._after = (
            rotation @ _matrix(model.site_quat[site]),
            rotation @ model.site_pos[site] + offset,
        )

    def _body_above(self, model: mujoco.MjModel, place: int) -> int:
        return int(model.jnt_bodyid[self._joints[place - 1]]) if place else 0

    def solve(self, poses: np.ndarray) -> np.ndarray:
        """Joint angles that bring the gripper to poses.

        Args:
            poses: (M, 4) x, y, z [m] in the world and yaw [rad] about world z.

        Returns:
            (M, 7) joint angles [rad], within the Panda's limits.
        """
        start = np.tile(np.asarray(HOME_JOINTS), (len(poses), 1))
        start[:, 0] = np.arctan2(poses[:, 1], poses[:, 0])
        start[:, 6] += start[:, 0] - poses[:, 3]
        wanted = _downward(poses[:, 3])
        joints = start.copy()
        for _ in range(_STEPS):
            joints += self._step(joints, start, wanted, poses[:, :3])
        inside = (joints > self._low + _MARGIN_RAD) & (
            joints < self._high - _MARGIN_RAD
        )
        for row in np.flatnonzero(~inside.all(axis=1)):
            joints[row] = self._single.solve(poses[row])
        return joints

    def _step(
        self,
        joints: np.ndarray,
        start: np.ndarray,
        wanted: np.ndarray,
        positions: np.ndarray,
    ) -> np.ndarray:
        """A Gauss-Newton step (M, 7) of pose error and posture."""
        rotation, position, jacobian = self._forward(joints)
        # Errors and Jacobian in the frame of the gripper, as body twists.
        turned = np.swapaxes(rotation, 1, 2)
        error = np.concatenate(
            [
                np.einsum("mij,mj->mi", turned, positions - position),
                _rotation_vector(turned @ wanted),
            ],
            axis=1,
        )
        body = np.concatenate(
            [turned @ jacobian[:, :3], turned @ jacobian[:, 3:]], axis=1
        )
        weight = _LM_DAMPING * (error**2).sum(axis=1) + POSTURE_COST**2
        normal = np.swapaxes(body, 1, 2) @ body
        normal += weight[:, None, None] * np.eye(joints.shape[1])
        pull = np.einsum("mij,mi->mj", body, error)
        pull -= POSTURE_COST**2 * (joints - start)
        return np.linalg.solve(normal, pull[..., None])[..., 0]

    def _forward(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gripper rotation (M, 3, 3), position (M, 3) and Jacobian (M, 6, 7)."""
        count = len(joints)
        rotation = np.tile(np.eye(3), (count, 1, 1))
        position = np.zeros((count, 3))
        axes, origins = [], []
        for place, (turn, offset) in enumerate(self._before):
            position = position + rotation @ offset
            rotation = rotation @ turn
            axes.append(rotation @ self._axes[place])
            origins.append(position)
            rotation = rotation @ _about(self._axes[place], joints[:, place])
        position = position + rotation @ self._after[1]
        rotation = rotation @ self._after[0]
        axis, origin = np.stack(axes, axis=2), np.stack(origins, axis=2)
        linear = np.cross(axis, position[:, :, None] - origin, axis=1)
        return rotation, position, np.concatenate([linear, axis], axis=1)


def _chain(
    model: mujoco.MjModel, above: int, body: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fixed rotation (3, 3) and offset (3,) from one body's frame to a lower one's."""
    rotation, offset = np.eye(3), np.zeros(3)
    while body != above:
        turn = _matrix(model.body_quat[body])
        offset = model.body_pos[body] + turn @ offset
        rotation = turn @ rotation
        body = int(model.body_parentid[body])
    return rotation, offset


def _matrix(quat: np.ndarray) -> np.ndarray:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)


def _about(axis: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations (M, 3, 3) by angles (M,) about one unit axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, rest = np.sin(angles)[:, None, None], (1 - np.cos(angles))[:, None, None]
    return np.eye(3) + sine * cross + rest * (cross @ cross)


def _downward(yaws: np.ndarray) -> np.ndarray:
    """Rotations (M, 3, 3) of a gripper that points down, its fingers along yaw."""
    half_turn = np.diag([1.0, -1.0, -1.0])
    return _about(np.array([0.0, 0.0, 1.0]), yaws) @ half_turn


def _rotation_vector(rotations: np.ndarray) -> np.ndarray:
    """Rotation vectors (M, 3) of rotations (M, 3, 3) by less than half a turn."""
    skew = np.stack(
        [
            rotations[:, 2, 1] - rotations[:, 1, 2],
            rotations[:, 0, 2] - rotations[:, 2, 0],
            rotations[:, 1, 0] - rotations[:, 0, 1],
        ],
        axis=1,
    )
    sine = np.linalg.norm(skew, axis=1) / 2
    cosine = (np.trace(rotations, axis1=1, axis2=2) - 1) / 2
    angle = np.arctan2(sine, cosine)
    share = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 1.0)
    return skew / 2 * share[:, None]

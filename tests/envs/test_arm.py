import math

import mujoco
import numpy as np
import pytest

from envs.arm import POSE_HIGH, POSE_LOW, ArmIK
from envs.scene import JOINT_HIGH, JOINT_LOW, arm_xml

# Craig's convention, from the manufacturer's documentation: (a [m], d [m], alpha).
FRANKA = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -math.pi / 2),
    (0.0, 0.316, math.pi / 2),
    (0.0825, 0.0, math.pi / 2),
    (-0.0825, 0.384, -math.pi / 2),
    (0.0, 0.0, math.pi / 2),
    (0.088, 0.0, math.pi / 2),
)
FLANGE_M, TIP_M, HAND_YAW = 0.107, 0.1034, -math.pi / 4
CORNERS = np.stack(
    np.meshgrid(*zip(POSE_LOW, POSE_HIGH, strict=True)), axis=-1
).reshape(-1, 4)


def turn_z(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def shift_z(distance: float) -> np.ndarray:
    shift = np.eye(4)
    shift[2, 3] = distance
    return shift


def along_x(a: float, alpha: float) -> np.ndarray:
    c, s = math.cos(alpha), math.sin(alpha)
    return np.array([[1, 0, 0, a], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])


def published_gripper(joints: np.ndarray) -> np.ndarray:
    """Pose (4, 4) of the point between the fingertips in the base."""
    pose = np.eye(4)
    for (a, d, alpha), angle in zip(FRANKA, joints, strict=True):
        pose = pose @ along_x(a, alpha) @ turn_z(angle) @ shift_z(d)
    return pose @ shift_z(FLANGE_M) @ turn_z(HAND_YAW) @ shift_z(TIP_M)


def random_poses(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(POSE_LOW, POSE_HIGH, (count, 4))


@pytest.fixture(scope="module")
def ik() -> ArmIK:
    return ArmIK()


def test_the_arm_has_the_published_kinematics():
    model = mujoco.MjModel.from_xml_string(arm_xml())
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for joints in rng.uniform(JOINT_LOW, JOINT_HIGH, (50, 7)):
        data.qpos[:7] = joints
        mujoco.mj_kinematics(model, data)
        pose = published_gripper(joints)
        site = data.site("gripper")
        np.testing.assert_allclose(site.xpos, pose[:3, 3], atol=1e-6)
        np.testing.assert_allclose(site.xmat.reshape(3, 3), pose[:3, :3], atol=1e-6)


@pytest.mark.parametrize("poses", [random_poses(60), CORNERS], ids=["inside", "edge"])
def test_joint_angles_reach_the_pose_within_a_tenth_of_a_millimetre(ik, poses):
    for wanted in poses:
        joints = ik.solve(wanted)
        pose = published_gripper(joints)
        assert np.linalg.norm(pose[:3, 3] - wanted[:3]) < 1e-4
        assert (joints > np.array(JOINT_LOW) - 1e-6).all()
        assert (joints < np.array(JOINT_HIGH) + 1e-6).all()
        # The gripper points down and opens along yaw.
        assert pose[2, 2] < -0.999_99
        yaw = math.atan2(pose[1, 0], pose[0, 0])
        assert abs(yaw - wanted[3]) < 1e-3


def test_joint_angles_are_a_function_of_the_pose_alone(ik):
    poses = random_poses(6)
    first = [ik.solve(pose) for pose in poses]
    again = [ik.solve(pose) for pose in poses[::-1]][::-1]
    fresh = [ArmIK().solve(pose) for pose in poses]
    assert np.array_equal(first, again)
    assert np.array_equal(first, fresh)


def test_neighbouring_poses_have_neighbouring_joint_angles(ik):
    for pose in random_poses(15):
        near = np.clip(pose + 1e-3, POSE_LOW, POSE_HIGH)
        assert np.abs(ik.solve(pose) - ik.solve(near)).max() < 0.02

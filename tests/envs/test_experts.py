import math

import numpy as np
import pytest

from envs.experts import (
    CLOSE,
    PickPlaceExpert,
    PushExpert,
    nearest_grasp_yaw,
    toward,
)
from envs.problems import run_expert
from envs.scene import CUBE_HALF_SIDE_M
from envs.simulation import ACTION_SCALES, Quantities, Simulation

START = np.array([0.45, -0.1, 0.2, 0.0])
CUBE = np.array([0.52, 0.05])


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation()


def facing(gripper_yaw: float, cube_yaw: float) -> Quantities:
    still = np.array([1.0, 0.0, 0.0, 0.0])
    return Quantities(START[:3], gripper_yaw, 0.08, np.zeros(3), still, cube_yaw)


def test_the_gripper_holds_a_cube_in_the_air(simulation):
    simulation.place(START, True, CUBE, 0.7)
    goal = np.array([0.45, -0.1, 0.18])
    run_expert(simulation, PickPlaceExpert(goal), 40)
    for _ in range(8):
        simulation.step(np.array([0, 0, 0, 0, CLOSE]))
    held = simulation.quantities()
    assert np.linalg.norm(held.cube_pos_world - goal) < 0.01
    assert 0.03 < held.gripper_opening < 0.06


def test_a_grasp_beside_the_cube_does_not_lift_it(simulation):
    simulation.place(START, True, CUBE, 0.7)
    offset = np.array([0.0, 0.08, 0.0])
    expert = PickPlaceExpert(np.array([0.45, -0.1, 0.18]), grasp_offset=offset)
    run_expert(simulation, expert, 15)
    assert simulation.quantities().cube_pos_world[2] < CUBE_HALF_SIDE_M + 0.02


def test_a_push_leaves_the_cube_on_the_table(simulation):
    simulation.place(START, False, CUBE, 0.2)
    goal = np.array([0.6, -0.1, CUBE_HALF_SIDE_M])
    run_expert(simulation, PushExpert(goal), 50)
    simulation.step(np.zeros(5))
    cube = simulation.quantities().cube_pos_world
    assert np.linalg.norm(cube[:2] - goal[:2]) < 0.015
    assert cube[2] == pytest.approx(CUBE_HALF_SIDE_M, abs=2e-3)


@pytest.mark.parametrize("reach_m", [0.02, 0.3])
def test_toward_points_straight_at_its_target(reach_m):
    now = facing(0.0, 0.0)
    along = np.array([0.6, -0.48, 0.64])
    action = toward(now, now.gripper_pos_world + reach_m * along, 0.1, CLOSE)
    assert np.abs(action).max() <= 1.0
    np.testing.assert_allclose(np.cross(action[:3], along), np.zeros(3), atol=1e-12)
    step = np.linalg.norm(action[:3]) * ACTION_SCALES[0]
    assert step == pytest.approx(min(reach_m, 0.05 / 0.64))


@pytest.mark.parametrize("cube_yaw", np.linspace(-math.pi, math.pi, 9))
@pytest.mark.parametrize("gripper_yaw", [-1.5, 0.0, 0.8])
def test_a_grasp_lines_up_with_the_cube_within_the_range(gripper_yaw, cube_yaw):
    yaw = nearest_grasp_yaw(facing(gripper_yaw, cube_yaw))
    quarters = (yaw - cube_yaw) / (math.pi / 2)
    assert quarters == pytest.approx(round(quarters), abs=1e-9)
    assert abs(yaw) <= math.pi / 2 + 1e-9

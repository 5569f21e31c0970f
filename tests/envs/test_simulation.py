import math

import numpy as np
import pytest

from envs.arm import POSE_HIGH, POSE_LOW
from envs.scene import CUBE_HALF_SIDE_M
from envs.simulation import (
    ACTION_SCALES,
    PROPRIO_SIZE,
    Simulation,
    random_start,
)

CENTRE = np.array([0.5, 0.0, 0.2, 0.0])
CUBE = np.array([0.6, 0.1])


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation()


def placed(simulation: Simulation, pose: np.ndarray = CENTRE) -> Simulation:
    simulation.place(pose, False, CUBE, 0.3)
    return simulation


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_each_action_moves_its_own_axis_by_its_scale(simulation, axis, sign):
    placed(simulation)
    before = simulation.quantities()
    action = np.zeros(5)
    action[axis] = sign
    simulation.step(action)
    after = simulation.quantities()
    moved = np.append(
        after.gripper_pos_world - before.gripper_pos_world,
        after.gripper_yaw - before.gripper_yaw,
    )
    expected = np.zeros(4)
    expected[axis] = sign * ACTION_SCALES[axis]
    np.testing.assert_allclose(moved, expected, atol=2e-3)


def test_the_commanded_pose_is_reached_within_two_millimetres(simulation):
    placed(simulation)
    rng = np.random.default_rng(1)
    for _ in range(80):
        action = rng.uniform(-1, 1, 5)
        action[2] = abs(action[2]) if simulation.command[2] < 0.15 else action[2]
        simulation.step(action)
        now = simulation.quantities()
        gap = np.linalg.norm(now.gripper_pos_world - simulation.command[:3])
        assert gap < 2e-3
        assert abs(now.gripper_yaw - simulation.command[3]) < 0.02
        assert np.abs(simulation.data.qvel[:7]).max() < 0.15  # nearly at rest [rad/s]


def test_the_commanded_pose_stays_in_the_workspace(simulation):
    placed(simulation)
    for action in (np.ones(5), -np.ones(5)):
        for _ in range(14):
            simulation.step(action)
        bound = POSE_HIGH if action[0] > 0 else POSE_LOW
        assert np.array_equal(simulation.command, bound)
        assert np.isfinite(simulation.get_state()).all()


def test_the_gripper_is_a_latch_with_a_dead_band(simulation):
    placed(simulation)
    openings = []
    for command in (0.3, 1.0, 0.0, -0.3, -0.31):
        simulation.step(np.array([0, 0, 0, 0, command]))
        openings.append(simulation.quantities().gripper_opening)
    wide, shut = 0.08, 0.0
    np.testing.assert_allclose(openings, [wide, shut, shut, shut, wide], atol=3e-3)


def test_a_placed_cube_rests_where_it_was_put(simulation):
    placed(simulation)
    before = simulation.quantities()
    np.testing.assert_allclose(
        before.cube_pos_world, [*CUBE, CUBE_HALF_SIDE_M], atol=5e-4
    )
    assert before.cube_yaw == pytest.approx(0.3, abs=1e-3)
    for _ in range(5):
        simulation.step(np.zeros(5))
    drift = simulation.quantities().cube_pos_world - before.cube_pos_world
    assert np.linalg.norm(drift) < 2e-4


def test_proprioception_is_what_the_docstring_says(simulation):
    placed(simulation, np.array([0.45, -0.1, 0.12, 0.5]))
    felt = simulation.proprio()
    assert felt.shape == (PROPRIO_SIZE,)
    np.testing.assert_allclose(felt[:3], [0.45, -0.1, 0.12], atol=2e-3)
    np.testing.assert_allclose(felt[3:5], [math.sin(0.5), math.cos(0.5)], atol=5e-3)
    assert felt[5] == pytest.approx(0.08, abs=2e-3)
    np.testing.assert_array_equal(felt[6:13], simulation.data.qpos[:7].astype("f4"))
    np.testing.assert_array_equal(felt[13:], simulation.data.qvel[:7].astype("f4"))


def test_a_random_start_follows_from_its_generator_and_touches_nothing(simulation):
    states = []
    for seed in (0, 0, 1):
        random_start(simulation, np.random.default_rng(seed))
        states.append(simulation.get_state())
    assert np.array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])
    for seed in range(15):
        random_start(simulation, np.random.default_rng(seed))
        before = simulation.quantities()
        gap = before.gripper_pos_world[:2] - before.cube_pos_world[:2]
        clear = np.linalg.norm(gap) > 0.09 or before.gripper_pos_world[2] > 0.075
        assert clear
        assert before.cube_pos_world[2] == pytest.approx(CUBE_HALF_SIDE_M, abs=1e-3)


DOWN, AHEAD = (0.0, 0.0, -1.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0, 1.0)


def lowest_corner(simulation: Simulation) -> float:
    """Height of the cube's lowest corner above the table [m]."""
    cube = simulation.data.body("cube")
    heights = cube.xmat.reshape(3, 3)[2] * CUBE_HALF_SIDE_M
    return float(cube.xpos[2] - np.abs(heights).sum())


def test_a_cube_that_is_pressed_does_not_sink_into_the_table(simulation):
    above = np.array([CUBE[0], CUBE[1] + 0.005, 0.1, 0.0])
    simulation.place(above, True, CUBE, 0.0)
    for _ in range(6):
        simulation.step(np.array(DOWN))
        assert lowest_corner(simulation) > -0.002


def test_a_cube_that_was_pressed_stays_when_the_hand_goes(simulation):
    above = np.array([CUBE[0], CUBE[1], 0.1, 0.0])
    simulation.place(above, True, CUBE, 0.0)
    for _ in range(4):
        simulation.step(np.array(DOWN))
    pressed = simulation.quantities().cube_pos_world
    for _ in range(4):
        simulation.step(-np.array(DOWN))
    left = simulation.quantities().cube_pos_world
    assert np.linalg.norm(left - pressed) < 0.03


@pytest.mark.parametrize("speed", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("yaw", [0.0, 0.2, 0.5])
def test_a_cube_that_is_pushed_goes_with_the_hand(simulation, speed, yaw):
    behind = np.array([0.42, 0.0, 0.01, 0.0])
    simulation.place(behind, True, np.array([0.48, 0.0]), yaw)
    for _ in range(3):
        simulation.step(speed * np.array(AHEAD) + (0, 0, 0, 0, 1 - speed))
    now = simulation.quantities()
    ahead = now.cube_pos_world[0] - now.gripper_pos_world[0]
    touching = CUBE_HALF_SIDE_M + 0.012
    assert touching - 0.005 < ahead < touching + 0.03
    assert now.gripper_pos_world[0] == pytest.approx(0.42 + 0.15 * speed, abs=0.002)

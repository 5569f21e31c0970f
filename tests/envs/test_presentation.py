import json

import numpy as np
import pytest

from envs.presentation import Marker, PresentationCamera
from envs.scene import scene_hash
from envs.simulation import Simulation
from envs.variation import SceneOptions
from worldmodel.resources import find_weights


@pytest.fixture(scope="module")
def camera():
    with PresentationCamera(128, 128) as camera:
        yield camera


def test_the_scene_is_the_one_that_the_shipped_model_learned_from():
    text = (find_weights("reference") / "config.json").read_text()
    assert f'"scene": "{scene_hash()}"' in json.dumps(json.loads(text))


def test_states_of_the_simulation_are_shown(camera):
    simulation = Simulation()
    at = []
    for x in (0.45, 0.6):
        pose = np.array([0.5, 0.1, 0.2, 0.0])
        simulation.place(pose, False, np.array([x, -0.1]), 0.0)
        at.append(simulation.get_state())
    here, there = camera.render(at[0]), camera.render(at[1])
    assert np.abs(here.astype(int) - there).max() > 50
    now = simulation.quantities()
    cube, gripper = camera.where(at[1], "cube"), camera.where(at[1], "gripper")
    np.testing.assert_allclose(cube, now.cube_pos_world, atol=1e-9)
    np.testing.assert_allclose(gripper, now.gripper_pos_world, atol=1e-9)


def test_people_see_the_scene_that_the_model_sees(camera):
    simulation = Simulation()
    pose = np.array([0.35, 0.2, 0.3, 0.0])
    simulation.place(pose, False, np.array([0.55, -0.1]), 0.0)
    state = simulation.get_state()
    nominal = camera.render(state).astype(int)
    blue = SceneOptions(cube_rgb=(0.1, 0.2, 0.9))
    with PresentationCamera(128, 128, blue) as other:
        changed = other.render(state).astype(int)
    cube = np.abs(changed - nominal).max(axis=2) > 40
    assert 20 < cube.sum() < 1000
    red, _, shade = changed[cube].mean(axis=0)
    assert shade > 2 * red
    with PresentationCamera(128, 128, SceneOptions(light=0.5)) as other:
        dark = other.render(state).astype(int)
    assert dark.mean() < nominal.mean() - 5


def test_a_marker_is_drawn_where_the_goal_is(camera):
    simulation = Simulation()
    state = simulation.get_state()
    plain = camera.render(state).astype(int)
    marked = camera.render(state, Marker(np.array([0.5, 0.1, 0.1]), 0.03))
    changed = np.abs(plain - marked).max(axis=2) > 8
    assert 10 < changed.sum() < 2000
    np.testing.assert_array_equal(camera.render(state), plain)

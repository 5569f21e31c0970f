import mujoco
import numpy as np
import pytest

from envs.scene import CUBE_HALF_SIDE_M, scene_xml
from envs.simulation import Simulation
from envs.variation import SceneOptions, apply_scene_options


def arrays(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    names = [n for n in dir(model) if isinstance(getattr(model, n), np.ndarray)]
    return {name: getattr(model, name).copy() for name in names}


def test_options_leave_no_trace_when_they_are_taken_back():
    model = mujoco.MjModel.from_xml_string(scene_xml())
    nominal = arrays(model)
    apply_scene_options(model, SceneOptions.random(np.random.default_rng(0)))
    varied = arrays(model)
    changed = {n for n, v in nominal.items() if not np.array_equal(v, varied[n])}
    wanted = {"geom_rgba", "light_diffuse", "cam_pos", "geom_size", "geom_friction"}
    assert changed >= wanted | {"body_mass", "body_inertia"}
    apply_scene_options(model, SceneOptions())
    for name, value in arrays(model).items():
        assert np.array_equal(value, nominal[name]), name


def test_options_do_not_add_up():
    once, twice = (mujoco.MjModel.from_xml_string(scene_xml()) for _ in range(2))
    options = SceneOptions(cube_scale=0.8, light=0.5, friction=2.0, cube_mass=0.3)
    apply_scene_options(once, options)
    apply_scene_options(twice, SceneOptions(cube_scale=1.05))
    apply_scene_options(twice, options)
    apply_scene_options(twice, options)
    expected = arrays(once)
    for name, value in arrays(twice).items():
        assert np.array_equal(value, expected[name]), name


@pytest.mark.parametrize("scale", [0.7, 1.08])
def test_a_cube_of_another_size_rests_on_the_table(scale: float):
    simulation = Simulation()
    apply_scene_options(simulation.model, SceneOptions(cube_scale=scale))
    simulation.place(np.array([0.4, -0.2, 0.2, 0]), False, np.array([0.55, 0.1]), 0.3)
    for _ in range(4):
        simulation.step(np.zeros(5))
    height = simulation.quantities().cube_pos_world[2]
    assert height == pytest.approx(scale * CUBE_HALF_SIDE_M, abs=3e-4)


def test_a_cube_of_one_colour_and_another_light_leave_all_else_as_it_is():
    plain, changed = (mujoco.MjModel.from_xml_string(scene_xml()) for _ in range(2))
    apply_scene_options(changed, SceneOptions(cube_rgb=(0.1, 0.2, 0.9), light=0.6))
    cube = plain.geom_bodyid == plain.body("cube").id
    assert np.allclose(changed.geom_rgba[cube, :3], (0.1, 0.2, 0.9))
    assert np.array_equal(changed.geom_rgba[~cube], plain.geom_rgba[~cube])
    differs = {n for n, v in arrays(plain).items() if (v != arrays(changed)[n]).any()}
    assert differs == {"geom_rgba", "light_diffuse"}


def test_random_options_follow_from_their_generator():
    first, again, other = (
        SceneOptions.random(np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cube_scale": 1.5}, r"cube_scale must be in \[0.7, 1.08\], got 1.5"),
        ({"light": float("nan")}, r"light must be in \[0.1, 3.0\], got nan"),
        ({"cube_mass": 0.0}, r"cube_mass must be in \[0.01, 1.0\], got 0.0"),
        (
            {"cube_rgb": "blue"},
            r"cube_rgb must be three numbers .* got 'blue'",
        ),
        (
            {"table_rgb": (0, 0, 2)},
            r"table_rgb must be three .* got \(0, 0, 2",
        ),
        ({"camera_shift": (0, 1)}, r"camera_shift must be three numbers in \[-1, 1\]"),
        ({"friction": -1.0}, r"friction must be in \[0.1, 3.0\], got -1.0"),
    ],
)
def test_options_beyond_their_range_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        SceneOptions(**change)

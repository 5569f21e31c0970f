"""How a scene may differ from the nominal one: looks, camera and physics."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.scene import CAMERA_POS_M, CUBE_HALF_SIDE_M

_CUBE_MASS_KG = 0.1


@dataclass(frozen=True)
class SceneOptions:
    """What differs from the nominal scene; the defaults change nothing.

    Attributes:
        table_rgb: colour of the table in [0, 1], None for the nominal one.
        cube_rgb: one colour of all of the cube's faces in [0, 1], None for the
            nominal ones, one each.
        light: factor on the light's brightness.
        camera_shift: (3,) shift of the camera in the world [m].
        cube_scale: factor on the cube's side; 0.7 to 1.08 fits the gripper
            and what the scripted experts take for a held cube.
        cube_mass: mass of the cube [kg].
        friction: factor on the sliding friction of every surface.
    """

    table_rgb: tuple[float, float, float] | None = None
    cube_rgb: tuple[float, float, float] | None = None
    light: float = 1.0
    camera_shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cube_scale: float = 1.0
    cube_mass: float = _CUBE_MASS_KG
    friction: float = 1.0

    def __post_init__(self) -> None:
        for name in ("table_rgb", "cube_rgb"):
            _require_three(name, getattr(self, name), 0.0, 1.0)
        _require_three("camera_shift", self.camera_shift, -1.0, 1.0)
        ranges = {
            "light": (0.1, 3.0),
            "cube_scale": (0.7, 1.08),
            "cube_mass": (0.01, 1.0),
            "friction": (0.1, 3.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be in [{low}, {high}], got {value}")

    @staticmethod
    def random(rng: np.random.Generator) -> SceneOptions:
        """A draw that varies everything a little."""
        return SceneOptions(
            table_rgb=tuple(rng.uniform(0.2, 0.8, 3)),
            light=float(rng.uniform(0.6, 1.3)),
            camera_shift=tuple(rng.uniform(-0.03, 0.03, 3)),
            cube_scale=float(rng.uniform(0.8, 1.05)),
            cube_mass=float(rng.uniform(0.05, 0.3)),
            friction=float(rng.uniform(0.6, 1.4)),
        )


@dataclass(frozen=True)
class _Nominal:
    """The fields of a model that options change, as they were compiled."""

    rgba: np.ndarray
    diffuse: np.ndarray
    geom_size: np.ndarray
    geom_pos: np.ndarray
    friction: np.ndarray
    mass: np.ndarray
    inertia: np.ndarray


_NOMINAL: weakref.WeakKeyDictionary[mujoco.MjModel, _Nominal] = (
    weakref.WeakKeyDictionary()
)


def apply_scene_options(model: mujoco.MjModel, options: SceneOptions) -> None:
    """Changes `model` in place to the nominal scene with `options`."""
    nominal = _NOMINAL.setdefault(model, _nominal_of(model))
    cube = model.body("cube").id
    cube_geoms = np.flatnonzero(model.geom_bodyid == cube)
    table = model.geom("table").id
    model.geom_rgba[:] = nominal.rgba
    if options.table_rgb is not None:
        model.geom_rgba[table, :3] = options.table_rgb
    if options.cube_rgb is not None:
        model.geom_rgba[cube_geoms, :3] = options.cube_rgb
    model.light_diffuse[:] = nominal.diffuse * options.light
    model.cam_pos[model.camera("left").id] = np.add(CAMERA_POS_M, options.camera_shift)
    model.geom_size[cube_geoms] = nominal.geom_size[cube_geoms] * options.cube_scale
    model.geom_pos[cube_geoms] = nominal.geom_pos[cube_geoms] * options.cube_scale
    model.geom_friction[:, 0] = nominal.friction * options.friction
    ratio = options.cube_mass / nominal.mass[cube]
    model.body_mass[cube] = options.cube_mass
    model.body_inertia[cube] = nominal.inertia[cube] * ratio * options.cube_scale**2
    # Broad-phase bounds follow the geom sizes.
    reach = float(np.sqrt(3) * CUBE_HALF_SIDE_M * options.cube_scale)
    model.geom_rbound[model.geom("cube").id] = reach
    mujoco.mj_setConst(model, mujoco.MjData(model))


def _require_three(name: str, value: object, low: float, high: float) -> None:
    """Raises ValueError unless a value is None or three numbers in a range."""
    if value is None:
        return
    row = value if isinstance(value, list | tuple) and len(value) == 3 else ("",)
    if not all(isinstance(x, int | float) and low <= x <= high for x in row):
        raise ValueError(
            f"{name} must be three numbers in [{low:g}, {high:g}], got {value!r}"
        )


def _nominal_of(model: mujoco.MjModel) -> _Nominal:
    return _Nominal(
        rgba=model.geom_rgba.copy(),
        diffuse=model.light_diffuse.copy(),
        geom_size=model.geom_size.copy(),
        geom_pos=model.geom_pos.copy(),
        friction=model.geom_friction[:, 0].copy(),
        mass=model.body_mass.copy(),
        inertia=model.body_inertia.copy(),
    )

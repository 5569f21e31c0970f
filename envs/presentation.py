"""A camera for people: the same scene, lit and framed to be watched, not learned from.

It has a model, a light and a GL context of its own, so that nothing here can change the
pictures that the world model sees.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.graphics import make_renderer
from envs.scene import scene_xml
from envs.simulation import STATE_SIGNATURE
from envs.variation import SceneOptions, apply_scene_options

_EYE_M = (1.56, 1.02, 0.80)
_TARGET_M = (0.40, -0.02, 0.23)
_FOVY_DEG = 33.0
_SKY_HIGH = (0.55, 0.64, 0.76)
_SKY_LOW = (0.92, 0.94, 0.96)
_TABLE = (0.80, 0.79, 0.77, 1.0)
_SHELL = (0.93, 0.94, 0.95, 1.0)
_HAND = (0.25, 0.27, 0.31, 1.0)
_BONE = (0.36, 0.40, 0.47, 1.0)
_BONE_RADIUS_M = 0.024
_GOAL = (0.05, 0.65, 0.35, 0.35)


@dataclass(frozen=True, eq=False)
class Marker:
    """A ball that shows where the goal is, and how near is near enough.

    Attributes:
        position: (3,) in the world [m].
        radius: distance within which the task is solved [m].
    """

    position: np.ndarray
    radius: float


class PresentationCamera:
    """Renders states of the simulation for people; use it in a `with`.

    Args:
        height: image height [px].
        width: image width [px].
        scene: how the scene differs from the nominal one; None where it does not.
    """

    def __init__(
        self, height: int, width: int, scene: SceneOptions | None = None
    ) -> None:
        self._model = presentation_model(height, width)
        if scene is not None:
            apply_scene_options(self._model, scene)
        self._data = mujoco.MjData(self._model)
        self._renderer = make_renderer(self._model, height, width)
        self._size = mujoco.mj_stateSize(self._model, STATE_SIGNATURE)

    def __enter__(self) -> PresentationCamera:
        return self

    def __exit__(self, *error: object) -> None:
        self._renderer.close()

    def render(self, state: np.ndarray, marker: Marker | None = None) -> np.ndarray:
        """The image uint8 (height, width, 3) of a state of `Simulation.get_state`."""
        self._set(state)
        self._renderer.update_scene(self._data, "presentation")
        if marker is not None:
            _add_ball(self._renderer.scene, marker)
        return self._renderer.render().copy()

    def where(self, state: np.ndarray, thing: str) -> np.ndarray:
        """Where the "gripper" or the "cube" is in a state, (3,) in the world [m]."""
        self._set(state)
        if thing == "gripper":
            return self._data.site(thing).xpos.copy()
        return self._data.body(thing).xpos.copy()

    def _set(self, state: np.ndarray) -> None:
        integration = np.asarray(state, dtype=np.float64)[: self._size]
        mujoco.mj_setState(self._model, self._data, integration, STATE_SIGNATURE)
        mujoco.mj_forward(self._model, self._data)


def presentation_model(height: int, width: int) -> mujoco.MjModel:
    """The scene with a sky, a floor, shadows, and a camera called "presentation"."""
    spec = mujoco.MjSpec.from_string(scene_xml())
    visual = spec.visual
    visual.global_.offheight, visual.global_.offwidth = height, width
    visual.quality.shadowsize, visual.quality.offsamples = 2048, 8
    visual.quality.numslices, visual.quality.numstacks = 32, 16
    visual.headlight.ambient = (0.35, 0.35, 0.37)
    visual.headlight.diffuse = (0.22, 0.22, 0.22)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=_SKY_LOW,
        rgb2=_SKY_HIGH,
        width=256,
        height=256 * 6,
    )
    _repaint(spec)
    _join(spec)
    world = spec.worldbody
    world.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(0.9, 0.9, 2.2),
        dir=(-0.30, -0.45, -1.0),
        diffuse=(0.5, 0.49, 0.47),
        castshadow=True,
    )
    camera = world.add_camera(name="presentation", pos=_EYE_M, fovy=_FOVY_DEG)
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = np.concatenate(_axes())
    return spec.compile()


def _repaint(spec: mujoco.MjSpec) -> None:
    for light in spec.lights:
        spec.delete(light)
    for geom in spec.geoms:
        if geom.name == "table":
            geom.rgba = _TABLE
        elif geom.classname.name == "shell":
            geom.rgba = _SHELL
        elif geom.classname.name == "hand":
            geom.rgba = _HAND


def _join(spec: mujoco.MjSpec) -> None:
    """Draws bones between the arm's joints, whose shells the scene keeps apart."""
    names = ("base", *(f"link{index}" for index in range(1, 8)), "hand")
    for name, after in itertools.pairwise(names):
        end = spec.body(after).pos
        if np.linalg.norm(end) > 0:
            spec.body(name).add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                fromto=[0, 0, 0, *end],
                size=[_BONE_RADIUS_M, 0, 0],
                rgba=_BONE,
                contype=0,
                conaffinity=0,
            )


def _axes() -> tuple[np.ndarray, np.ndarray]:
    """The camera's right and up axes when it looks at its target, world z up."""
    forward = np.subtract(_TARGET_M, _EYE_M)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    return right, up / np.linalg.norm(up)


def _add_ball(scene: mujoco.MjvScene, marker: Marker) -> None:
    if scene.ngeom >= scene.maxgeom:
        raise RuntimeError(f"the scene has no room for more than {scene.maxgeom} geoms")
    mujoco.mjv_initGeom(
        scene.geoms[scene.ngeom],
        mujoco.mjtGeom.mjGEOM_SPHERE,
        np.full(3, marker.radius),
        np.asarray(marker.position, dtype=np.float64),
        np.eye(3).ravel(),
        np.asarray(_GOAL, dtype=np.float32),
    )
    scene.ngeom += 1

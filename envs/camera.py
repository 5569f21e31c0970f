"""Rendering the fixed camera, fast on software GL."""

from __future__ import annotations

import mujoco
import numpy as np

from envs.graphics import make_renderer

CAMERA = "left"


class Camera:
    """Renders the scene's fixed camera without shadows and reflections.

    The GL context is made at the first image, in the thread that asks for it, so
    that simulations which never render need none.

    Args:
        model: the scene.
        height: image height [px].
        width: image width [px].
    """

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        largest = (model.vis.global_.offheight, model.vis.global_.offwidth)
        for name, value, most in zip(
            ("height", "width"), (height, width), largest, strict=True
        ):
            if not 16 <= value <= most:
                raise ValueError(f"{name} must be in [16, {most}] px, got {value}")
        self._model = model
        self._height = height
        self._width = width
        self._renderer: mujoco.Renderer | None = None

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """The image uint8 (height, width, 3) of the present state."""
        renderer = self._renderer
        if renderer is None:
            renderer = self._renderer = self._open()
        renderer.update_scene(data, CAMERA)
        return renderer.render().copy()

    def close(self) -> None:
        """Frees the GL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _open(self) -> mujoco.Renderer:
        renderer = make_renderer(self._model, self._height, self._width)
        flags = renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        return renderer

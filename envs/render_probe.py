"""A stand-alone program: renders a red ball and writes what the GL driver gave.

It is run by `envs.graphics.probe` in a process of its own, where a driver that
crashes or hangs does no harm, with MUJOCO_GL set by the caller. It imports nothing of
ours: the interpreter starts it by its path.
"""

from __future__ import annotations

import json
import sys
import time

import mujoco
import numpy as np
from OpenGL import GL

SIDE = 96  # [pixels], the side of the tasks' images
SCENE = """
<mujoco>
  <visual>
    <global offwidth="96" offheight="96"/>
    <quality shadowsize="1024" offsamples="4"/>
  </visual>
  <worldbody>
    <light pos="0 -2 3" dir="0 2 -3"/>
    <geom type="plane" size="2 2 .1" rgba=".7 .7 .7 1"/>
    <geom type="sphere" pos="0 0 .3" size=".3" rgba="1 0 0 1"/>
    <camera name="front" pos="0 -1.5 .3" xyaxes="1 0 0 0 0 1"/>
  </worldbody>
</mujoco>
"""


def shows_the_ball(pixels: np.ndarray) -> bool:
    """Tells whether the middle is red and the corner is not, pixels (h, w, 3)."""
    middle = pixels[SIDE // 2, SIDE // 2].astype(int)
    corner = pixels[0, 0].astype(int)
    is_red = middle[0] > 60 and middle[0] > 2 * max(middle[1], middle[2])
    return bool(is_red and np.abs(middle - corner).max() > 30)


def measure(frames: int) -> dict[str, object]:
    """Renders frames and gives the driver's name, the rate and whether it is right."""
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, SIDE, SIDE) as renderer:
        renderer.update_scene(data, camera="front")
        is_right = shows_the_ball(renderer.render())
        start = time.perf_counter()
        for _ in range(frames):
            renderer.update_scene(data, camera="front")
            renderer.render()
        seconds = time.perf_counter() - start
        driver = GL.glGetString(GL.GL_RENDERER)
    return {
        "driver": driver.decode() if isinstance(driver, bytes) else "unknown",
        "frames_per_s": frames / seconds,
        "is_right": is_right,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(frames=int(sys.argv[1]))) + "\n")

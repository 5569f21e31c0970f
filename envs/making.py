"""What `gymnasium.make` calls: a GL backend is found before MuJoCo asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.graphics import select_backend

if TYPE_CHECKING:
    from envs.tabletop import TabletopEnv


def make_tabletop(
    task: str = "Reach",
    height: int = 96,
    width: int = 96,
    render_mode: str | None = None,
) -> TabletopEnv:
    """Makes the environment of a task, on a GL backend that is known to render.

    Args:
        task: name of a task in `envs.tasks.TASKS`.
        height: image height [px].
        width: image width [px].
        render_mode: "rgb_array" or None.

    Raises:
        NoGraphicsError: nothing renders here, or not what `MUJOCO_GL` asks for; the
            message says what to install.
    """
    select_backend()
    from envs.tabletop import TabletopEnv  # not before: it imports mujoco

    return TabletopEnv(task, height, width, render_mode)

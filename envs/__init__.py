"""MuJoCo table-top tasks, registered with Gymnasium as `worldmodel/<Task>-v0`."""

from __future__ import annotations

import gymnasium as gym

from envs.tasks import TASKS

for _name in TASKS:
    gym.register(
        id=f"worldmodel/{_name}-v0",
        entry_point="envs.making:make_tabletop",
        kwargs={"task": _name},
    )

__all__ = ["TASKS"]

"""OGBench's `cube-single-v0` and `visual-cube-single-v0`: an arm moves a cube."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldmodel.evaluation.adapters.adapter import Adapter

_JOINT = "object_joint_0"


class Cube(Adapter):
    """One cube of OGBench; a state is MuJoCo's qpos and qvel, side by side.

    Success is OGBench's: the cube's centre within 4 cm of where the goal has it. Its
    translucent target is not shown, for the goal is told by a picture.
    """

    module = "ogbench"
    options = {"visualize_info": False, "terminate_at_goal": False}  # noqa: RUF012
    names = ("dx", "dy", "dz", "dyaw", "gripper")
    absolute = False
    rate_hz = 20.0
    budget = 200
    tolerances = {"cube [m]": 0.04}  # noqa: RUF012 (read only)
    columns = ("qpos", "qvel")

    def feel(self, observation: Any) -> np.ndarray:
        """Gives the hand: x, y, z [m], cosine and sine of its yaw, its opening."""
        told = self.unwrapped.compute_ob_info()
        yaw = float(told["proprio/effector_yaw"][0])
        opening = float(told["proprio/gripper_opening"][0])
        place = told["proprio/effector_pos"]
        return np.array([*place, np.cos(yaw), np.sin(yaw), opening], np.float32)

    def state(self) -> np.ndarray:
        """Gives qpos and qvel."""
        return np.concatenate([self.unwrapped.data.qpos, self.unwrapped.data.qvel])

    def restore(self, state: np.ndarray) -> Any:
        """Puts everything where a state has it."""
        env = self.unwrapped
        places, rates = env.model.nq, env.model.nv
        if len(state) != places + rates:
            raise ValueError(
                f"a state of Cube has {places} numbers of qpos and {rates} of qvel, "
                f"got {len(state)}"
            )
        env.data.qacc_warmstart[:] = 0.0  # of whatever was there before
        env.set_state(state[:places], state[places:])
        env.pre_step()
        env.post_step()
        return env.compute_observation()

    def distances(self, state: np.ndarray, goal: np.ndarray) -> dict[str, float]:
        """Gives how far the cube is from where the goal has it."""
        place = self._place()
        return {"cube [m]": float(np.linalg.norm(state[place] - goal[place]))}

    def problem(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives one of OGBench's five tasks, in turn, with its own goal picture."""
        env = self.unwrapped
        plain = env.step

        def seeded(action: Any) -> Any:
            """OGBench draws the steps before its goal picture from no seed."""
            return plain(env.np_random.uniform(-1, 1, len(action)))

        env.step = seeded
        try:
            options = {"task_id": 1 + seed % env.num_tasks, "render_goal": True}
            self.env.reset(seed=seed, options=options)
        finally:
            del env.step
        goal = self.state()
        goal[self._place()] = env.cur_task_info["goal_xyzs"][0]
        return goal, env._cur_goal_rendered

    def _place(self) -> slice:
        first = int(self.unwrapped.model.joint(_JOINT).qposadr[0])
        return slice(first, first + 3)

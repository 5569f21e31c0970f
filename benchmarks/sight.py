"""How much of the cube the camera sees, in play and in goal pictures.

    python -m benchmarks.sight --n 200

Pixels of the cube at the model's resolution, and their share of what an unhidden cube
would have; near: the gripper within 8 cm. No learning, no dataset: where this is low,
no encoder can tell where the cube is. `--camera` and `--target` try another place.
"""

from __future__ import annotations

import argparse

import mujoco
import numpy as np

import envs.scene
from envs.camera import CAMERA
from envs.graphics import make_renderer
from envs.play import PlayMix, play_actions
from envs.problems import make_start_and_goal
from envs.simulation import Simulation
from envs.tasks import find_task

SIDE = 96  # [px]
FINER = 2  # rendered at SIDE x FINER, for whole pixels that a cube's edge cuts
NEAR_M = 0.08
ON_TABLE_M = 0.035
STEPS = 48
STRIDE = 6
ARM_GROUP = 4


class Sight:
    """Counts the cube's pixels, with the arm in the way and without it."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        model = simulation.model
        cube = model.body("cube").id
        self._cube = np.flatnonzero(model.geom_bodyid == cube)
        others = (model.geom_bodyid != cube) & (model.geom_bodyid != 0)
        model.geom_group[others] = ARM_GROUP
        self._renderer = make_renderer(model, SIDE * FINER, SIDE * FINER)
        self._renderer.enable_segmentation_rendering()

    def pixels(self, state: np.ndarray) -> tuple[float, float]:
        """Pixels of the cube at SIDE x SIDE: in sight, and with the arm away."""
        self._simulation.set_state(state)
        return self._count(arm=True), self._count(arm=False)

    def _count(self, arm: bool) -> float:
        option = mujoco.MjvOption()
        option.geomgroup[ARM_GROUP] = arm
        self._renderer.update_scene(self._simulation.data, CAMERA, scene_option=option)
        shown = np.isin(self._renderer.render()[..., 0], self._cube)
        return float(shown.sum()) / FINER**2


def play_states(simulation: Simulation, count: int) -> list[np.ndarray]:
    """States of play, every `STRIDE` steps."""
    rng = np.random.default_rng(0)
    states: list[np.ndarray] = []
    while len(states) < count:
        passed: list[np.ndarray] = []

        def keep(action: np.ndarray, passed: list[np.ndarray] = passed) -> None:
            passed.append(simulation.get_state())

        play_actions(simulation, STEPS, PlayMix(), rng, keep)
        states += passed[::STRIDE]
    return states[:count]


def goal_states(simulation: Simulation, task: str, count: int) -> list[np.ndarray]:
    """Goals of `count` problems that no split uses."""
    named = find_task(task)
    seeds = range(2**30, 2**30 + count)
    return [make_start_and_goal(simulation, named, seed).goal for seed in seeds]


def row(name: str, seen: list[tuple[float, float]]) -> str:
    """A line with percentiles of what is in sight."""
    pixels = np.array(seen)
    share = pixels[:, 0] / np.maximum(pixels[:, 1], 1.0)
    low, quarter, half = np.percentile(pixels[:, 0], (5, 25, 50))
    return (
        f"{name:18s} n {len(pixels):4d}   pixels 5% {low:4.0f}  25% {quarter:4.0f}  "
        f"50% {half:4.0f}   less than 0.3 of it in sight: {(share < 0.3).mean():.3f}"
    )


def main() -> None:
    """Prints a row for play and for the goals of each task with a cube."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--camera", type=float, nargs=3, help="position [m]")
    parser.add_argument("--target", type=float, nargs=3, help="looked at [m]")
    parser.add_argument("--fovy", type=float, help="field of view [deg]")
    options = parser.parse_args()
    if options.camera:
        envs.scene.CAMERA_POS_M = tuple(options.camera)
    if options.target:
        envs.scene.CAMERA_TARGET_M = tuple(options.target)
    if options.fovy:
        envs.scene.CAMERA_FOVY_DEG = options.fovy
    simulation = Simulation()
    states = play_states(simulation, options.n)
    goals = {t: goal_states(simulation, t, options.n) for t in ("Push", "PickPlace")}
    sight = Sight(simulation)
    near: list[tuple[float, float]] = []
    far: list[tuple[float, float]] = []
    for state in states:
        seen = sight.pixels(state)
        now = simulation.quantities()
        gap = np.linalg.norm(now.cube_pos_world - now.gripper_pos_world)
        if now.cube_pos_world[2] < ON_TABLE_M:
            (near if gap < NEAR_M else far).append(seen)
    print(row("play, near", near))
    print(row("play, far", far))
    for task, found in goals.items():
        print(row(f"{task}, goals", [sight.pixels(goal) for goal in found]))


if __name__ == "__main__":
    main()

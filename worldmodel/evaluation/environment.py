"""The environment as the evaluation needs it: made by task, and named by its hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any, Protocol, cast, runtime_checkable

import gymnasium as gym
import numpy as np

from envs.graphics import probe, select_backend
from envs.problems import make_start_and_goal
from envs.scene import scene_xml
from envs.simulation import Simulation
from envs.tabletop import TabletopEnv
from envs.tasks import find_task
from envs.variation import SceneOptions

_PROBE_SEED = 0
_PROBE_STEPS = 10
_PROBE_DECIMALS = 3  # [mm]: rounding of another processor does not show


class ProblemEnv(Protocol):
    """What the runner asks of an environment."""

    @property
    def action_space(self) -> gym.Space[Any]: ...

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]: ...

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]: ...

    def get_state(self) -> np.ndarray: ...

    def set_state(self, state: np.ndarray) -> None: ...

    def set_goal(self, goal: np.ndarray) -> None: ...


@runtime_checkable
class Sparing(Protocol):
    """An env that can leave out what nobody looks at.

    Attributes:
        draws: Whether the observations of the next steps have pixels.
    """

    draws: bool


def make_env(
    task: str, height: int = 96, width: int = 96, scene: SceneOptions | None = None
) -> TabletopEnv:
    """Makes the environment of a task, on a GL backend that is known to render.

    Args:
        task: Name of a task, whatever its capitals.
        height: Image height [px].
        width: Image width [px].
        scene: How its scene differs from the nominal one; None for not at all.

    Raises:
        ValueError: No task has that name; the known ones are listed.
        NoGraphicsError: Nothing renders here; the message says what to install.
    """
    name = find_task(task).name
    select_backend()
    return TabletopEnv(task=name, height=height, width=width, scene=scene)


def environment_fingerprint(env: TabletopEnv) -> str:
    """Gives 12 hexadecimal digits that name how an environment looks and behaves.

    Covers the scene, the action spec, the image size, the task's rules, one problem
    and a short roll-out (to the millimetre); not the software that renders.
    """
    pixels = cast(gym.spaces.Dict, env.observation_space)["pixels"]
    facts = {
        "task": env.task.name,
        "budget": env.budget,
        "tolerances": env.task.tolerances,
        "action_spec": env.metadata["action_spec"],
        "pixels": pixels.shape,
        "scene": scene_xml(),
        "behaviour": _behaviour(env.task.name),
    }
    if env.scene != SceneOptions():
        facts["options"] = asdict(env.scene)
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def gl_backend() -> str:
    """Gives the GL backend that renders here, and its driver."""
    report = probe(select_backend(), frames=1)
    return f"{report.backend} ({report.driver})"


def _behaviour(task: str) -> list[list[float]]:
    """Gives gripper and cube positions [m] along one problem and one roll-out."""
    simulation = Simulation()
    problem = make_start_and_goal(simulation, find_task(task), _PROBE_SEED)
    positions = []
    for state in (problem.start, problem.goal):
        simulation.set_state(state)
        positions.append(_positions(simulation))
    simulation.set_state(problem.start)
    actions = np.random.default_rng(_PROBE_SEED).uniform(-1, 1, (_PROBE_STEPS, 5))
    for action in actions:
        simulation.step(action)
    positions.append(_positions(simulation))
    return positions


def _positions(simulation: Simulation) -> list[float]:
    now = simulation.quantities()
    both = np.concatenate([now.gripper_pos_world, now.cube_pos_world])
    # Adding zero turns -0.0 into 0.0.
    return (both.round(_PROBE_DECIMALS) + 0.0).tolist()

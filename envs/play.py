"""Unlabelled play: the mix of behaviours that the training data is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from envs.arm import POSE_HIGH, POSE_LOW
from envs.experts import CLOSE, KEEP, OPEN, PickPlaceExpert, PushExpert, toward
from envs.problems import GOAL_HIGH_M, GOAL_LOW_M
from envs.scene import CUBE_HALF_SIDE_M
from envs.simulation import MOTION_SIZE, Quantities, Simulation, random_start

Controller = Callable[[Quantities], np.ndarray]

_SEGMENT_STEPS = (6, 20)
MOST_WEIGHT = 1e9  # of a behaviour


@dataclass(frozen=True)
class PlayMix:
    """How often each behaviour is chosen for a segment; need not sum to one.

    Attributes:
        noise: coloured-noise motion over the whole workspace.
        sweep: motion toward and through the cube, from any side and height.
        push: the noisy push expert, its goal switched with every segment.
        pick: the noisy pick-and-place expert, likewise.
        botch: the pick expert with a grasp point that is off.
    """

    noise: float = 0.25
    sweep: float = 0.2
    push: float = 0.2
    pick: float = 0.25
    botch: float = 0.1

    def __post_init__(self) -> None:
        weights = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, weight in weights.items():
            if not 0 <= weight <= MOST_WEIGHT:
                raise ValueError(
                    f"{name} must be in [0, {MOST_WEIGHT:g}], got {weight}"
                )
        if not sum(weights.values()) > 0:
            raise ValueError(f"one weight of the mix must be above 0, got {weights}")

    def probabilities(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The behaviours' names and probabilities."""
        names = tuple(field.name for field in fields(self))
        weights = np.array([getattr(self, name) for name in names], dtype=float)
        return names, weights / weights.sum()


def choose_behaviour(
    mix: PlayMix, now: Quantities, rng: np.random.Generator
) -> Controller:
    """Draws one behaviour from the mix, for one segment."""
    names, probabilities = mix.probabilities()
    name = names[rng.choice(len(names), p=probabilities)]
    return _BEHAVIOURS[name](now, rng)


def play_actions(
    simulation: Simulation,
    steps: int,
    mix: PlayMix,
    rng: np.random.Generator,
    record: Callable[[np.ndarray], None],
) -> None:
    """Plays one episode from a random start.

    Args:
        simulation: where to play; it is placed afresh.
        steps: control steps.
        mix: the behaviours.
        rng: decides everything.
        record: called with each action (5,) float32 before it is taken, while the
            simulation is still in the state that the action starts from.
    """
    random_start(simulation, rng)
    behaviour, left = None, 0
    jitter = _coloured_noise(rng, steps, correlation=rng.uniform(0.0, 0.8))
    jitter *= rng.choice([0.05, 0.15, 0.35])
    for step in range(steps):
        now = simulation.quantities()
        if behaviour is None or left == 0:
            behaviour = choose_behaviour(mix, now, rng)
            left = int(rng.integers(*_SEGMENT_STEPS))
        left -= 1
        action = behaviour(now)
        action[:MOTION_SIZE] += jitter[step]
        if rng.random() < 0.02:
            action[MOTION_SIZE] = rng.choice([OPEN, CLOSE])
        action = np.clip(action, -1.0, 1.0).astype(np.float32)
        record(action)
        simulation.step(action)


def _coloured_noise(
    rng: np.random.Generator, steps: int, correlation: float
) -> np.ndarray:
    """Unit-variance AR(1) noise (steps, MOTION_SIZE)."""
    white = rng.standard_normal((steps, MOTION_SIZE))
    noise = np.empty_like(white)
    noise[0] = white[0]
    for step in range(1, steps):
        fresh = np.sqrt(1 - correlation**2) * white[step]
        noise[step] = correlation * noise[step - 1] + fresh
    return noise


def _noise(now: Quantities, rng: np.random.Generator) -> Controller:
    """Coloured noise around a drift to a random place, so that all is visited."""
    target = rng.uniform(POSE_LOW[:3], POSE_HIGH[:3])
    yaw = rng.uniform(-1.5, 1.5)
    noise = iter(_coloured_noise(rng, 2 * _SEGMENT_STEPS[1], correlation=0.6))
    strength = rng.uniform(0.3, 0.9)
    gripper = float(rng.choice([OPEN, CLOSE, KEEP, KEEP]))

    def act(now: Quantities) -> np.ndarray:
        action = 0.5 * toward(now, target, yaw, 0.0)
        action[:MOTION_SIZE] += strength * next(noise)
        action[MOTION_SIZE] = gripper + 0.3 * rng.standard_normal()
        return action

    return act


def _sweep(now: Quantities, rng: np.random.Generator) -> Controller:
    """Goes to one side of the cube, then through it to the other side."""
    angle = rng.uniform(-np.pi, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    height = rng.choice([0.010, rng.uniform(0.010, 0.055)], p=[0.7, 0.3])
    aside = rng.normal(0.0, 0.015) * np.array([-along[1], along[0]])
    yaw = rng.uniform(-1.5, 1.5)
    gripper = float(rng.choice([OPEN, CLOSE]))
    reach = rng.uniform(0.05, 0.2)
    speed = rng.uniform(0.4, 1.0)
    begun = False

    def act(now: Quantities) -> np.ndarray:
        nonlocal begun
        cube = now.cube_pos_world[:2]
        spot = cube + aside - 0.06 * along
        here = now.gripper_pos_world
        gap = np.linalg.norm(here[:2] - spot)
        begun = begun or (gap < 0.02 and here[2] < height + 0.015)
        if begun:
            target = np.array([*(here[:2] + reach * along), height])
        elif gap < 0.02:
            target = np.array([*spot, height])
        else:
            target = np.array([*spot, max(here[2], 0.08)])
        action = toward(now, target, yaw, gripper)
        action[:3] *= speed
        return action

    return act


def _push(now: Quantities, rng: np.random.Generator) -> Controller:
    goal = np.array([*rng.uniform(GOAL_LOW_M, GOAL_HIGH_M), CUBE_HALF_SIDE_M])
    return PushExpert(goal).act


def _pick_goal(rng: np.random.Generator) -> np.ndarray:
    height = CUBE_HALF_SIDE_M if rng.random() < 0.4 else rng.uniform(0.06, 0.22)
    return np.array([*rng.uniform(GOAL_LOW_M, GOAL_HIGH_M), height])


def _pick(now: Quantities, rng: np.random.Generator) -> Controller:
    return PickPlaceExpert(_pick_goal(rng)).act


def _botch(now: Quantities, rng: np.random.Generator) -> Controller:
    offset = rng.normal(0.0, (0.02, 0.02, 0.01))
    return PickPlaceExpert(_pick_goal(rng), grasp_offset=offset).act


_BEHAVIOURS = {
    "noise": _noise,
    "sweep": _sweep,
    "push": _push,
    "pick": _pick,
    "botch": _botch,
}

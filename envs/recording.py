"""Recording play: one episode is a function of a seed and its index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.camera import Camera
from envs.play import PlayMix, play_actions
from envs.simulation import PROPRIO_SIZE, Simulation

PROPRIO_NAMES = (
    *(f"gripper_{axis}" for axis in "xyz"),
    "gripper_yaw_sin",
    "gripper_yaw_cos",
    "gripper_opening",
    *(f"joint{i + 1}_angle" for i in range(7)),
    *(f"joint{i + 1}_rate" for i in range(7)),
)
assert len(PROPRIO_NAMES) == PROPRIO_SIZE


@dataclass(frozen=True)
class Recording:
    """One episode; row t is the moment t and the action taken at it.

    Attributes:
        frames: uint8 (T, height, width, 3).
        actions: float32 (T, 5) in [-1, 1].
        proprio: float32 (T, 20).
        sim_state: float64 (T, n), vectors of `Simulation.get_state`.
    """

    frames: np.ndarray
    actions: np.ndarray
    proprio: np.ndarray
    sim_state: np.ndarray


class PlayRecorder:
    """Records episodes of play.

    Args:
        mix: the behaviours.
        seed: of the whole dataset.
        steps: control steps of an episode.
        height: image height [px].
        width: image width [px].
    """

    def __init__(
        self, mix: PlayMix, seed: int, steps: int, height: int, width: int
    ) -> None:
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self._mix, self._seed, self._steps = mix, seed, steps
        self._simulation = Simulation()
        self._camera = Camera(self._simulation.model, height, width)

    def record(self, index: int) -> Recording:
        """Records episode `index`, the same one on every call and machine."""
        simulation = self._simulation
        frames, actions, proprio, states = [], [], [], []

        def keep(action: np.ndarray) -> None:
            frames.append(self._camera.render(simulation.data))
            actions.append(action)
            proprio.append(simulation.proprio())
            states.append(simulation.get_state())

        rng = np.random.default_rng([self._seed, index])
        play_actions(simulation, self._steps, self._mix, rng, keep)
        arrays = (frames, actions, proprio, states)
        return Recording(*(np.stack(rows) for rows in arrays))

    @property
    def state_size(self) -> int:
        """Length n of a state vector."""
        return self._simulation.state_size

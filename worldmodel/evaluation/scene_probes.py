"""What latents tell of gripper and cube: probes of each, and their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from worldmodel.evaluation.gates import quantities_of
from worldmodel.evaluation.probe import fit_probe, yaw_targets

HELD_UP_M = 0.006  # a cube this much above where most lie is in the air
UPRIGHT = 0.98  # cosine of the tilt up to which a cube's yaw has a meaning
LEAST = 8  # moments of a case, below which it is left out
_CM_PER_M = 100.0


class Reader(Protocol):
    """A fitted probe."""

    def predict(self, latents: np.ndarray) -> np.ndarray:
        """Gives targets (N, K) of latents (N, ...)."""
        ...


Fit = Callable[[np.ndarray, np.ndarray], Reader]
Errors = dict[str, tuple[float, float]]
"""Root mean square and median error of each case, [cm] or [deg] as its name ends."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The truth at N moments.

    Attributes:
        gripper: (N, 3) [m].
        cube: (N, 3) [m].
        gripper_yaw: (N,) [rad].
        cube_yaw: (N,) [rad].
        upright: bool (N,), the cube stands flat.
    """

    gripper: np.ndarray
    cube: np.ndarray
    gripper_yaw: np.ndarray
    cube_yaw: np.ndarray
    upright: np.ndarray

    @classmethod
    def of(cls, sim_states: np.ndarray) -> Scene:
        """Reads recorded simulator states (N, n)."""
        moments = quantities_of(sim_states)
        quat = np.stack([m.cube_quat for m in moments])
        return cls(
            np.stack([m.gripper_pos_world for m in moments]),
            np.stack([m.cube_pos_world for m in moments]),
            np.array([m.gripper_yaw for m in moments]),
            np.array([m.cube_yaw for m in moments]),
            1 - 2 * (quat[:, 1] ** 2 + quat[:, 2] ** 2) > UPRIGHT,
        )


class SceneProbes:
    """Probes of the hand, of a cube on the table and of one in the air.

    Args:
        latents: (N, F) or (N, P, D) to fit on.
        scene: the truth there.
        fit: a probe, linear or not.
    """

    def __init__(self, latents: np.ndarray, scene: Scene, fit: Fit = fit_probe) -> None:
        self._floor = float(np.quantile(scene.cube[:, 2], 0.3)) + HELD_UP_M
        self._probes = {
            name: fit(latents[rows], targets[rows])
            for name, (rows, targets) in self._cases(scene).items()
            if rows.sum() >= LEAST
        }

    def errors(self, latents: np.ndarray, scene: Scene) -> Errors:
        """The errors at other moments; cases with few of them are left out."""
        found: Errors = {}
        cases = self._cases(scene)
        for name, probe in self._probes.items():
            rows, true = cases[name]
            if rows.sum() < LEAST:
                continue
            told = probe.predict(latents[rows])
            gaps = told[:, :3] - true[rows, :3]
            found[f"{name}_cm"] = _summary(_CM_PER_M * np.linalg.norm(gaps, axis=1))
            if true.shape[1] > 3:
                found[f"{name}_yaw_deg"] = _summary(_turn(told[:, 3:], true[rows, 3:]))
        return found

    def _cases(self, scene: Scene) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Rows bool (N,) and targets (N, K) of each case: a place, maybe a yaw."""
        low = scene.cube[:, 2] < self._floor
        hand = np.hstack((scene.gripper, yaw_targets(scene.gripper_yaw)))
        cube = np.hstack((scene.cube, yaw_targets(scene.cube_yaw)))
        return {
            "gripper": (np.ones(len(low), bool), hand),
            "cube_on_table": (low & scene.upright, cube),
            "cube_in_air": (~low, scene.cube),
        }


def _turn(told: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Angles [deg] between directions (N, 2) as sines and cosines."""
    gap = np.arctan2(*told.T) - np.arctan2(*true.T)
    return np.degrees(np.abs(np.arctan2(np.sin(gap), np.cos(gap))))


def _summary(errors: np.ndarray) -> tuple[float, float]:
    return float(np.sqrt((errors**2).mean())), float(np.median(errors))

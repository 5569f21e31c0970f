"""One recorded episode in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldmodel.data.errors import DatasetError


@dataclass(frozen=True, eq=False)
class Episode:
    """T control steps; row t is the observation t and the action taken at t.

    The result of the last action is not recorded.

    Attributes:
        frames: Camera images, uint8 (T, height, width, 3).
        actions: Actions in [-1, 1], float32 (T, A).
        proprio: What the robot feels of itself, float32 (T, S); S may be 0.
        sim_state: The simulator's whole state at t, float64 (T, n); n may be 0.
        task: What the episode is for, in words; play data has one word for all.
        notes: Plain JSON about how it was made; nothing is trained on it.
    """

    frames: np.ndarray
    actions: np.ndarray
    proprio: np.ndarray
    sim_state: np.ndarray
    task: str = "play"
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks types, ranks, equal lengths and finite values."""
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4:
            raise DatasetError(
                "frames must be uint8 (T, height, width, 3), "
                f"got {self.frames.dtype} {self.frames.shape}"
            )
        if len(self.frames) == 0 or self.frames.shape[3] != 3:
            raise DatasetError(
                "frames must be (T >= 1, height, width, 3), "
                f"got shape {self.frames.shape}"
            )
        for name, dtype, least in (
            ("actions", np.float32, 1),
            ("proprio", np.float32, 0),
            ("sim_state", np.float64, 0),
        ):
            rows = getattr(self, name)
            if rows.dtype != dtype or rows.ndim != 2 or rows.shape[1] < least:
                raise DatasetError(
                    f"{name} must be {np.dtype(dtype)} (T, size >= {least}), "
                    f"got {rows.dtype} {rows.shape}"
                )
            _check_rows(name, rows, len(self.frames))
        if np.abs(self.actions).max() > 1:
            step = int(np.abs(self.actions).max(axis=1).argmax())
            raise DatasetError(
                f"actions must be in [-1, 1], got {self.actions[step].tolist()} "
                f"at step {step}"
            )

    def __len__(self) -> int:
        """Number of recorded control steps T."""
        return len(self.frames)


def _check_rows(name: str, rows: np.ndarray, length: int) -> None:
    if len(rows) != length:
        raise DatasetError(
            f"{name} must have one row for each of the {length} frames, got {len(rows)}"
        )
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        step = int(finite.argmin())
        raise DatasetError(f"{name} holds NaN or infinity at step {step}")

"""Whether actions stand in the row in which they were taken, told from their effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LAGS = (-2, -1, 0, 1, 2)  # control steps
EXPECTED = (0, 1)  # the state answers in the step after the action, or in the next
_WEAK = 0.1  # correlation below which nothing is told


@dataclass(frozen=True)
class Alignment:
    """How much actions have to do with what the state does so many steps later.

    Attributes:
        correlations: By lag: mean over action dimensions of the magnitude of the
            correlation with the state dimension that answers it best. At lag 0 a row's
            action is compared with the change from this row's state to the next's.
    """

    correlations: dict[int, float]

    @property
    def best(self) -> int:
        """The lag of the greatest correlation."""
        return max(self.correlations, key=lambda lag: self.correlations[lag])

    @property
    def is_weak(self) -> bool:
        """Whether the state answers to actions at no lag."""
        return self.correlations[self.best] < _WEAK

    @property
    def is_shifted(self) -> bool:
        """Whether the state answers earlier or later than it should."""
        return not self.is_weak and self.best not in EXPECTED


def alignment(
    episodes: Sequence[tuple[np.ndarray, np.ndarray]], absolute: bool
) -> Alignment | None:
    """Compares actions with the changes of the state around them.

    Args:
        episodes: Actions (T, A) and state (T, S) of each, of every control step.
        absolute: Whether actions say where to be: their changes are compared then.

    Returns:
        None where there is no state, or no episode long enough.
    """
    found = {lag: _correlations(episodes, lag, absolute) for lag in LAGS}
    tables = [table for table in found.values() if table is not None]
    if len(tables) < len(LAGS):
        return None
    answers = np.max(tables, axis=0).argmax(axis=1)  # (A,) state dimension of each
    places = np.arange(len(answers))
    return Alignment(
        {
            lag: float(table[places, answers].mean())
            for lag, table in zip(LAGS, tables, strict=True)
        }
    )


def _correlations(
    episodes: Sequence[tuple[np.ndarray, np.ndarray]], lag: int, absolute: bool
) -> np.ndarray | None:
    """Gives magnitudes (A, S) of the correlation of actions with changes at a lag."""
    causes: list[np.ndarray] = []
    effects: list[np.ndarray] = []
    for actions, states in episodes:
        cause, effect = _pairs(actions, states, lag, absolute)
        causes.append(cause)
        effects.append(effect)
    if not causes or not effects[0].shape[1] or not sum(map(len, causes)):
        return None
    cause, effect = (
        _standard(np.concatenate(causes)),
        _standard(np.concatenate(effects)),
    )
    return np.abs(cause.T @ effect) / len(cause)


def _pairs(
    actions: np.ndarray, states: np.ndarray, lag: int, absolute: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Gives what was commanded (n, A), and the state's change `lag` steps later (n, S).

    Row t of what was commanded is the action, or how it differs from the one before.
    """
    actions, states = actions.astype(np.float64), states.astype(np.float64)
    first = 1 if absolute else 0  # row of the first command
    commands = np.diff(actions, axis=0) if absolute else actions
    changes = np.diff(states, axis=0)
    low = max(first, -lag)
    high = max(low, min(len(actions), len(changes) - lag))
    return commands[low - first : high - first], changes[low + lag : high + lag]


def _standard(values: np.ndarray) -> np.ndarray:
    """Gives columns (n, d) with mean 0 and deviation 1; what never changes is 0."""
    centred = values - values.mean(axis=0)
    std = centred.std(axis=0)
    return centred / np.where(std > 1e-9, std, np.inf)

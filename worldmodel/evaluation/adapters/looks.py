"""Whether an env that is brought back to recorded states looks as it was recorded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.recorded_goals import RecordedGoals

_LOOKS = 8  # recorded moments at which the env's picture is compared
_ALIKE = 0.5  # of how much frames differ from each other, what it may differ


def require_alike(
    goals: RecordedGoals,
    shown: Callable[[np.ndarray], np.ndarray],
    size: int,
    adapter: str,
) -> None:
    """Checks that the states of a dataset are those of an env, and pictures too.

    Args:
        goals: The dataset.
        shown: Gives the picture that the env shows at a state (n,).
        size: Numbers n of a state, as the adapter gives them.
        adapter: Its name, for errors.

    Raises:
        WorldModelError: States have another size, or are refused, or pictures are not
            those that were recorded.
    """
    rows = np.linspace(0, len(goals.frames.frames) - 1, _LOOKS).astype(int)
    told = [(row, state) for row in rows.tolist() if len(state := goals.told(row))]
    if not told:
        raise WorldModelError(
            f"{adapter}.read finds no state in {_LOOKS} frames of goals="
        )
    if len(told[0][1]) != size:
        raise WorldModelError(
            f"goals= has states of {len(told[0][1])} numbers, {adapter}.state gives "
            f"{size}: record these, or name other columns with states="
        )
    recorded = [goals.picture(row) for row, _ in told]
    try:
        pictures = [shown(state) for _, state in told]
    except ValueError as error:
        raise WorldModelError(
            f"{adapter}.restore refuses a state of goals=: {error}"
        ) from error
    off = _differences(pictures, recorded)
    usual = _differences(recorded, [*recorded[1:], recorded[0]])
    if off > _ALIKE * usual:
        raise WorldModelError(
            "the env, restored to states of goals=, does not look like their frames: "
            f"pixels differ by {off:.1f} of 255, those of frames far from each other "
            f"by {usual:.1f}; name another camera=, or mend `picture` or `restore` of "
            f"{adapter}"
        )


def _differences(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    pairs = zip(some, others, strict=True)
    gaps = [np.abs(one.astype(float) - other).mean() for one, other in pairs]
    return float(np.mean(gaps))

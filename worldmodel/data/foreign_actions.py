"""Which actions in [-1, 1] stand for those of somebody else's robot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from worldmodel.action_spec import ActionSpec
from worldmodel.data.errors import DatasetError

_ROUNDING = 1e-6  # of a range
UNKNOWN = "unknown"  # unit and frame of reference: the format has no place for them


def action_range(actions: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Gives least and greatest value (A,) over episodes' actions (T, A), float64."""
    ends = [(some.min(axis=0), some.max(axis=0)) for some in actions]
    low, high = (np.array(side, np.float64) for side in zip(*ends, strict=True))
    return low.min(axis=0), high.max(axis=0)


def require_same_actions(
    root: Path, told: ActionSpec, own: ActionSpec, ends: np.ndarray
) -> None:
    """Checks that actions may be taken for those of another dataset.

    Args:
        root: Their dataset's folder.
        told: What they shall mean, the spec of the other dataset.
        own: The spec that they have by themselves.
        ends: Least and greatest values as recorded, (2, A).

    Raises:
        DatasetError: They have other names or another rate, or go beyond the range
            that the other's have.
    """
    for name in ("names", "rate_hz", "block"):
        wanted, found = getattr(told, name), getattr(own, name)
        if found != wanted:
            raise DatasetError(
                f"actions of {root} must have the {name} of data, {wanted}, got {found}"
            )
    beyond = np.abs(told.normalised(ends)).max(axis=0) > 1 + _ROUNDING
    if beyond.any():
        place = int(beyond.argmax())
        limits = told.in_units(np.array([[-1.0], [1.0]]) * np.ones(told.size))[:, place]
        raise DatasetError(
            f"action {told.names[place]} of {root} must be in [{limits[0]:g}, "
            f"{limits[1]:g}], the range of data, got [{ends[0, place]:g}, "
            f"{ends[1, place]:g}]: put both datasets into one"
        )


def action_spec_of(
    names: Sequence[str],
    ends: np.ndarray,
    rate_hz: float,
    block: int,
    absolute: bool | None,
) -> ActionSpec:
    """Gives the spec that maps actions of a range into [-1, 1].

    Of absolute actions least and greatest become -1 and 1. Relative ones are scaled
    alone, by the greatest magnitude, so that the action of zeros still does nothing;
    they stay as they are where all are in [-1, 1]. What never changes has scale 1.

    Args:
        names: One for each dimension.
        ends: Least and greatest values, (2, A).
        rate_hz: Control steps per second [Hz].
        block: Control steps that one model step covers.
        absolute: Whether an action says where to be; None: where one is not in [-1, 1].
    """
    low, high = ends
    within = bool(max(-low.min(), high.max()) <= 1)
    is_absolute = not within if absolute is None else absolute
    if is_absolute:
        offsets, scales = (low + high) / 2, (high - low) / 2
    else:
        offsets, scales = np.zeros_like(low), np.maximum(abs(low), abs(high))
        scales = np.ones_like(scales) if within else scales
    scales = np.where(scales > 0, scales, 1.0)
    return ActionSpec(
        names=tuple(names),
        units=(UNKNOWN,) * len(names),
        scales=tuple(scales.tolist()),
        frames=(UNKNOWN,) * len(names),
        rate_hz=rate_hz,
        block=block,
        offsets=tuple(offsets.tolist()),
        absolute=is_absolute,
    )

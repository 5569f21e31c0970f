"""Mean, standard deviation and range of a feature, per episode and over many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVELS = np.arange(256) / 255


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Statistics over the rows of one feature, in float64.

    Attributes:
        min: Least value of each dimension; (size,), images (3, 1, 1) in [0, 1].
        max: Greatest value, same shape.
        mean: Mean, same shape.
        std: Standard deviation of the population, same shape.
        count: Number of rows.
    """

    min: np.ndarray
    max: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    count: int

    def to_json(self) -> dict[str, Any]:
        """Gives the statistics as plain lists, as `meta/stats.json` has them."""
        lists = {name: getattr(self, name).tolist() for name in ARRAYS}
        return {**lists, "count": [self.count]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FeatureStatistics:
        """Gives the statistics from what `to_json` gave."""
        arrays = {name: np.asarray(values[name], np.float64) for name in ARRAYS}
        return cls(**arrays, count=int(values["count"][0]))


ARRAYS = ("min", "max", "mean", "std")
Statistics = dict[str, FeatureStatistics]


def of_rows(rows: np.ndarray) -> FeatureStatistics:
    """Gives the statistics of rows (T,) or (T, size)."""
    values = rows.reshape(len(rows), -1).astype(np.float64)
    return FeatureStatistics(
        min=values.min(axis=0),
        max=values.max(axis=0),
        mean=values.mean(axis=0),
        std=values.std(axis=0),
        count=len(rows),
    )


def of_frames(frames: np.ndarray) -> FeatureStatistics:
    """Gives the statistics per channel of frames (T, height, width, 3), in [0, 1]."""
    # A histogram is exact and does not make floats of every pixel.
    counts = np.stack(
        [np.bincount(frames[..., c].ravel(), minlength=256) for c in range(3)]
    )
    share = counts / counts.sum(axis=1, keepdims=True)  # (3, 256)
    mean = share @ LEVELS
    variance = (share * (LEVELS - mean[:, None]) ** 2).sum(axis=1)
    present = counts > 0
    channels = {
        "min": LEVELS[present.argmax(axis=1)],
        "max": LEVELS[255 - present[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(variance),
    }
    shaped = {name: values.reshape(3, 1, 1) for name, values in channels.items()}
    return FeatureStatistics(**shaped, count=len(frames))


def merge(first: FeatureStatistics, second: FeatureStatistics) -> FeatureStatistics:
    """Gives the statistics of the rows of both together."""
    count = first.count + second.count
    weight = second.count / count
    shift = second.mean - first.mean
    variance = (
        first.std**2 * (1 - weight)
        + second.std**2 * weight
        + shift**2 * weight * (1 - weight)
    )
    return FeatureStatistics(
        min=np.minimum(first.min, second.min),
        max=np.maximum(first.max, second.max),
        mean=first.mean + shift * weight,
        std=np.sqrt(variance),
        count=count,
    )


def merge_all(parts: Iterable[Statistics]) -> Statistics:
    """Gives the statistics over all parts, folded in their order; {} for none."""
    total: Statistics = {}
    for part in parts:
        total = {
            key: merge(total[key], feature) if key in total else feature
            for key, feature in part.items()
        }
    return total

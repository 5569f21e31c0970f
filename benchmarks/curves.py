"""Success over something, with intervals: one plot for all curves."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldmodel.evaluation.episode import Episode
from worldmodel.evaluation.statistics import wilson_interval


@dataclass(frozen=True)
class Axis:
    """What success is drawn over.

    Attributes:
        key: Where a record has it.
        label: What it is called, with its unit.
        is_log: Whether it is drawn logarithmically.
    """

    key: str
    label: str
    is_log: bool = False


def outcome(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Gives how many episodes were solved at the end, and ever, as plain JSON."""
    n, solved = len(episodes), sum(episode.success for episode in episodes)
    return {
        "n": n,
        "solved": solved,
        "interval": wilson_interval(solved, n),
        "ever": sum(episode.ever for episode in episodes),
    }


def draw(
    lines: Mapping[str, Iterable[Mapping[str, Any]]],
    axis: Axis,
    path: Path,
    floor: Mapping[str, Any] | None = None,
) -> bool:
    """Draws a line for each name; tells whether it could: matplotlib may be missing.

    Args:
        lines: Records of `outcome`, with what they are drawn over, by name.
        axis: What that is.
        path: Of the picture.
        floor: Record of random actions, drawn as a dashed line.
    """
    if not importlib.util.find_spec("matplotlib"):
        return False
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for name, given in lines.items():
        records = sorted(given, key=lambda one: one[axis.key])
        rates = [_percent(one) for one in records]
        ends = [[100 * end for end in one["interval"]] for one in records]
        below = [rate - low for rate, (low, _) in zip(rates, ends, strict=True)]
        above = [high - rate for rate, (_, high) in zip(rates, ends, strict=True)]
        places = [one[axis.key] for one in records]
        axes.errorbar(places, rates, [below, above], marker="o", capsize=3, label=name)
    if floor is not None:
        axes.axhline(_percent(floor), ls="--", color="grey", label="random actions")
    if axis.is_log:
        axes.set_xscale("log")
    axes.set_xlabel(axis.label)
    axes.set_ylabel("solved at the end [%], 95% interval")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return True


def _percent(record: Mapping[str, Any]) -> float:
    return 100 * record["solved"] / record["n"]

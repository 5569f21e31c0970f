"""Progress bars with rate and time left; silent where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def bar(total: int, label: str, unit: str, done: int = 0) -> tqdm:
    """Gives a bar to `update(n)`, in a `with`; shown only on a terminal.

    Args:
        total: Units of work in all.
        label: What is being done, e.g. "collect".
        unit: What is counted, e.g. "episode"; the rate is in these per second.
        done: Units that an earlier run has done.
    """
    return tqdm(
        total=total,
        initial=done,
        desc=label,
        unit=f" {unit}",
        disable=None,  # tqdm's way to say: silent unless on a terminal
        dynamic_ncols=True,
    )


def track(items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
    """Passes items on and shows how far it is."""
    with bar(total, label, unit) as progress:
        for item in items:
            yield item
            progress.update()

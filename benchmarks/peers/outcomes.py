"""Successes of one method, kept as a file while they come in."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from worldmodel.evaluation.statistics import wilson_interval
from worldmodel.files.atomic import new_file
from worldmodel.hardware import hardware, software


@dataclass(frozen=True)
class Outcomes:
    """What came of the first problems.

    Attributes:
        conditions: Plain JSON that they were run under.
        successes: One for each, in order.
        seconds: That they took.
    """

    conditions: dict[str, Any]
    successes: tuple[bool, ...] = ()
    seconds: float = 0.0

    @classmethod
    def load(cls, path: Path, conditions: dict[str, Any]) -> Outcomes:
        """Gives what is in a file, none where there is no file.

        Raises:
            ValueError: They were run under other conditions.
        """
        saved = load_json(path)
        if saved is None:
            return cls(conditions)
        if saved["conditions"] != conditions:
            raise ValueError(
                f"{path} was run with {saved['conditions']}, not {conditions}: name "
                "another --out, or delete it"
            )
        return cls(conditions, tuple(saved["successes"]), saved["seconds"])

    def extended(self, successes: list[bool], seconds: float) -> Outcomes:
        """Gives them with those of another group."""
        return replace(
            self,
            successes=(*self.successes, *successes),
            seconds=self.seconds + seconds,
        )

    @property
    def text(self) -> str:
        """Gives success and interval as one would write them."""
        n, solved = len(self.successes), sum(self.successes)
        low, high = wilson_interval(solved, n)
        return (
            f"{solved} of {n}, {100 * solved / n:.1f}% ({100 * low:.1f} to "
            f"{100 * high:.1f}), {self.seconds / n:.1f} s each"
        )

    def save(self, path: Path, **more: Any) -> None:
        """Writes them with count, interval and machine, and what else is told."""
        n, solved = len(self.successes), sum(self.successes)
        report = {
            "conditions": self.conditions,
            "n": n,
            "solved": solved,
            "interval": wilson_interval(solved, n),
            "seconds": self.seconds,
            "hardware": hardware().describe(),
            "software": software(),
            **more,
            "successes": list(self.successes),
        }
        save_json(path, report)


def load_json(path: Path) -> Any:
    """Gives what is in a file, None where there is none."""
    return json.loads(path.read_text()) if path.is_file() else None


def save_json(path: Path, value: object) -> None:
    """Writes a file, whole or not at all; lists of truth values stay on a line."""
    with new_file(path) as staged:
        staged.write_text(json.dumps(value) + "\n")

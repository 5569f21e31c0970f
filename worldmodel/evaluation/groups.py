"""Finished groups of problems of a row that is still being run, one file each."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.episode import Episode
from worldmodel.evaluation.protocol import Protocol
from worldmodel.evaluation.records import from_json, to_json
from worldmodel.evaluation.results import Method
from worldmodel.evaluation.timing import Timing
from worldmodel.files.atomic import new_file
from worldmodel.files.json_file import read_object


@dataclass(frozen=True)
class Conditions:
    """What groups of one row have in common.

    Attributes:
        protocol: The conditions of the evaluation.
        problems: Fingerprint of the problem set.
        method: What chose the actions.
        group: Problems side by side.
    """

    protocol: Protocol
    problems: str
    method: Method
    group: int


@dataclass(frozen=True)
class Group:
    """Problems that ran side by side, finished.

    Attributes:
        conditions: How they were run.
        timing: Milliseconds per action, measured before the first group of the row.
        episodes: Their records, in order.
    """

    conditions: Conditions
    timing: Timing | None
    episodes: tuple[Episode, ...]


@dataclass(frozen=True)
class KeptGroups:
    """The folder of a row's finished groups.

    Attributes:
        folder: Where they are, named after their first problems.
        conditions: Those that every group must have.
    """

    folder: Path
    conditions: Conditions

    def load(self) -> list[Group]:
        """Gives the finished groups, from the first up to the first that is missing.

        Raises:
            WorldModelError: One was run under other conditions, or is damaged.
        """
        groups: list[Group] = []
        for start in range(0, self.conditions.protocol.n, self.conditions.group):
            path = self._file(start)
            if not path.is_file():
                break
            groups.append(self._read(path, start))
        return groups

    def missing(self) -> list[int]:
        """Numbers of the first problems of the groups that are not finished."""
        starts = range(0, self.conditions.protocol.n, self.conditions.group)
        return [start for start in starts if not self._file(start).is_file()]

    def save(self, start: int, group: Group) -> None:
        """Keeps a group whose first problem is number `start`."""
        with new_file(self._file(start)) as staging:
            staging.write_text(json.dumps(to_json(group), allow_nan=False))

    def clear(self) -> None:
        """Removes all groups: their row is kept as a whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, start: int) -> Path:
        return self.folder / f"{start:06d}.json"

    def _read(self, path: Path, start: int) -> Group:
        try:
            content = read_object(path)
        except WorldModelError as error:
            raise WorldModelError(
                f"{error}; delete it, and its problems run again"
            ) from error
        group = from_json(Group, content, str(path))
        if group.conditions != self.conditions:
            found, wanted = to_json(group.conditions), to_json(self.conditions)
            other = [key for key in wanted if found[key] != wanted[key]]
            raise WorldModelError(
                f"{path} was run with another model or on other problems (it has "
                f"another {', '.join(other)}); choose another out="
            )
        end = min(start + self.conditions.group, self.conditions.protocol.n)
        if [episode.index for episode in group.episodes] != list(range(start, end)):
            raise WorldModelError(
                f"{path} must have the problems {start} to {end - 1}; delete it, and "
                "they run again"
            )
        return group

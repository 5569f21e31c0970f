"""The results file: from it alone every table is remade."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.episode import Episode
from worldmodel.evaluation.protocol import Protocol
from worldmodel.evaluation.records import from_json, to_json
from worldmodel.evaluation.timing import Timing
from worldmodel.files.atomic import new_file
from worldmodel.files.json_file import read_object
from worldmodel.hardware import Hardware

RESULTS_VERSION = 1
KINDS = ("method", "floor", "ceiling")


@dataclass(frozen=True)
class Method:
    """What chose the actions.

    Attributes:
        name: Name of the row in tables.
        kind: "method"; "floor" (random actions); or "ceiling" (it reads the
            simulator).
        planner: Settings of planner and horizon as plain JSON.
        model_hash: Hash of the model's weights, None without a model.
        training_seed: Seed that the model was trained with, None without a model.
    """

    name: str
    kind: str
    planner: dict[str, Any]
    model_hash: str | None = None
    training_seed: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise WorldModelError(f"kind must be one of {KINDS}, got {self.kind!r}")


@dataclass(frozen=True)
class Row:
    """One method under one protocol.

    Attributes:
        protocol: The conditions.
        problems: Fingerprint of the problem set.
        method: What chose the actions.
        timing: Milliseconds per action, None where it was not measured.
        episodes: One record per problem, in order.
    """

    protocol: Protocol
    problems: str
    method: Method
    timing: Timing | None
    episodes: tuple[Episode, ...]

    def __post_init__(self) -> None:
        what = f"{self.method.name!r} on {self.protocol.task}"
        if len(self.episodes) != self.protocol.n:
            raise WorldModelError(
                f"{what} must have n={self.protocol.n} episodes, got "
                f"{len(self.episodes)}; an unfinished evaluation is no result"
            )
        for index, episode in enumerate(self.episodes):
            if (episode.index, episode.task) != (index, self.protocol.task):
                raise WorldModelError(
                    f"{what}: episode {index} must be problem {index} of this task, "
                    f"got problem {episode.index} of {episode.task}"
                )

    @property
    def successes(self) -> int:
        """Gives the number of problems solved at the end of the budget."""
        return sum(episode.success for episode in self.episodes)

    @property
    def ever(self) -> int:
        """Gives the number of problems solved at some step."""
        return sum(episode.ever for episode in self.episodes)


@dataclass(frozen=True)
class Results:
    """All rows of one run on one machine.

    Attributes:
        version: Version of this schema.
        created: Time of writing, UTC, ISO 8601.
        hardware: The machine.
        gl: GL backend and driver that rendered.
        software: Versions by package.
        rows: One per method and protocol.
    """

    version: int
    created: str
    hardware: Hardware
    gl: str
    software: dict[str, str]
    rows: tuple[Row, ...]


def now_utc() -> str:
    """Gives the present time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def save_results(results: Results, path: Path) -> None:
    """Writes a results file; after a crash the old or the new one is there."""
    content = to_json(results)
    for row, stored in zip(results.rows, content["rows"], strict=True):
        stored["protocol_hash"] = row.protocol.hash
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    # One line per episode keeps the file readable and its differences small.
    with new_file(path) as staging:
        staging.write_text(text.replace('{"index":', '\n{"index":'))


def load_results(path: Path) -> Results:
    """Reads a results file strictly.

    Raises:
        WorldModelError: The file is missing, cut off, of another version, or a field
            is missing, unknown or of the wrong type; the message names it.
    """
    if not path.is_file():
        raise WorldModelError(
            f"no results at {path}; `worldmodel evaluate` writes them when it is done"
        )
    try:
        content = read_object(path)
    except WorldModelError as error:
        raise WorldModelError(f"{error}; evaluate again") from error
    version = content.get("version")
    if version != RESULTS_VERSION:
        raise WorldModelError(
            f"{path} must have version {RESULTS_VERSION}, got {version!r}"
        )
    hashes = _take_hashes(content, path)
    results = from_json(Results, content, path.name)
    for row, stored in zip(results.rows, hashes, strict=True):
        if row.protocol.hash != stored:
            raise WorldModelError(
                f"{path}: protocol {row.protocol.name!r} has hash "
                f"{row.protocol.hash}, the file says {stored!r}; it was edited"
            )
    return results


def _take_hashes(content: dict[str, Any], path: Path) -> list[Any]:
    rows = content.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WorldModelError(f"{path}: rows must be a list of objects")
    return [row.pop("protocol_hash", None) for row in rows]

"""The conditions of an evaluation, with a hash: only equal ones are comparable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from worldmodel.errors import WorldModelError

PROTOCOL_VERSION = 1

# Seeds of problems, disjoint by construction. Training data uses "train".
SPLIT_SEEDS = {
    "train": range(10_000_000),
    "validation": range(10_000_000, 20_000_000),
    "test": range(20_000_000, 30_000_000),
}


class ProtocolMismatch(WorldModelError):
    """Results of different protocols were about to be mixed."""


@dataclass(frozen=True)
class Protocol:
    """What two rates must share before they may stand in one table.

    The method (model, planner, samples, horizon) is deliberately not part of it:
    methods meet under one protocol.

    Attributes:
        name: Name of the protocol, e.g. "standard" or "ceiling".
        task: Name of the task.
        split: One of SPLIT_SEEDS.
        n: Number of problems: the first n of the split.
        budget: Control steps in every episode; success is judged after the last.
        environment: Fingerprint of the environment.
        version: Version of the rules that the runner applies.
    """

    name: str
    task: str
    split: str
    n: int
    budget: int
    environment: str
    version: int = PROTOCOL_VERSION

    def __post_init__(self) -> None:
        if not self.name:
            raise WorldModelError("name of a protocol must not be empty")
        if self.split not in SPLIT_SEEDS:
            raise WorldModelError(
                f"split must be one of {[*SPLIT_SEEDS]}, got {self.split!r}"
            )
        if self.n < 1:
            raise WorldModelError(f"n must be at least 1, got {self.n}")
        if self.budget < 1:
            raise WorldModelError(f"budget must be at least 1 step, got {self.budget}")

    @property
    def hash(self) -> str:
        """Gives 12 hexadecimal digits that change with every field."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def require_same(protocols: Iterable[Protocol]) -> Protocol:
    """Gives the one protocol that all share, or says in which fields they differ."""
    distinct = list(dict.fromkeys(protocols))
    if not distinct:
        raise WorldModelError("at least 1 protocol is needed, got 0")
    first = distinct[0]
    for other in distinct[1:]:
        differences = ", ".join(
            f"{field.name} {getattr(first, field.name)!r} and "
            f"{getattr(other, field.name)!r}"
            for field in dataclasses.fields(Protocol)
            if getattr(first, field.name) != getattr(other, field.name)
        )
        raise ProtocolMismatch(
            f"results of different protocols cannot be mixed: {first.hash} and "
            f"{other.hash} differ in {differences}"
        )
    return first

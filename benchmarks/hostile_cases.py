"""One hostile input, and what should come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REFUSED = "clear"
WORKS = "accepted"


@dataclass(frozen=True)
class Case:
    """A hostile input.

    Attributes:
        id: Its kind and name, e.g. "commands/collect episodes=0".
        run: Gives the exit status; gets an empty folder to work in.
        says: What the message must hold: the option, the file, the episode.
        right: How it should end: refused, or, as a control, accepted.
    """

    id: str
    run: Callable[[Path], int]
    says: tuple[str, ...] = ()
    right: str = REFUSED

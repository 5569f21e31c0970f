"""The words that the running command was given, for what it writes about itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_WORDS: ContextVar[tuple[str, ...]] = ContextVar("words", default=())


@contextmanager
def invoked(words: Sequence[str]) -> Iterator[None]:
    """Keeps the words after `worldmodel` while a command runs."""
    token = _WORDS.set(tuple(words))
    try:
        yield
    finally:
        _WORDS.reset(token)


def command_line(command: str) -> str:
    """Gives the running command as one would type it.

    Args:
        command: Its name, for where it was not started by `main`.
    """
    return shlex.join(["worldmodel", *(_WORDS.get() or (command,))])

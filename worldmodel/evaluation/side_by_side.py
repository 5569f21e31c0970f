"""The envs that problems run in side by side: one for all in turns, or one for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worldmodel.evaluation.environment import ProblemEnv


class EnvPool:
    """Envs of one kind, each made when it is first needed, and kept."""

    def __init__(self, make: Callable[[], ProblemEnv]) -> None:
        """For what makes one env."""
        self._make = make
        self._made: list[ProblemEnv] = []

    def take(self, count: int) -> Sequence[ProblemEnv]:
        """Gives so many envs, the same ones at every call."""
        while len(self._made) < count:
            self._made.append(self._make())
        return self._made[:count]

    def close(self) -> None:
        """Closes them."""
        for env in self._made:
            close = getattr(env, "close", None)
            if close is not None:
                close()
        self._made.clear()


def side_by_side(
    envs: ProblemEnv | EnvPool, count: int
) -> tuple[Sequence[ProblemEnv], bool]:
    """Gives an env for each of so many problems, and whether it is one for all."""
    if isinstance(envs, EnvPool):
        return envs.take(count), False
    return [envs] * count, True

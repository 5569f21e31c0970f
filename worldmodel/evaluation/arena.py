"""Where a model is evaluated: an env, its problems, and what films of it are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from envs.tabletop import TabletopEnv
from worldmodel.action_spec import ActionSpec
from worldmodel.evaluation.environment import ProblemEnv, environment_fingerprint
from worldmodel.evaluation.film_subject import Subject, subject_of
from worldmodel.evaluation.problems import Problem, make_problem, task_problems
from worldmodel.evaluation.side_by_side import EnvPool
from worldmodel.evaluation.world_model_policy import Idle


class Arena(Protocol):
    """What commands ask of the place where a model is evaluated.

    Attributes:
        task: Name of the task or env.
        budget: Control steps of an episode.
        fingerprint: Names how its env looks and behaves, and where goals are from.
        action_spec: What the actions of its env mean.
        envs: The env or envs that problems run in.
        idle: Which action does nothing; None for the policy's own answer.
        has_goals: Whether `problem` gives a goal.
    """

    @property
    def task(self) -> str: ...
    @property
    def budget(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def action_spec(self) -> ActionSpec: ...
    @property
    def envs(self) -> ProblemEnv | EnvPool: ...
    @property
    def idle(self) -> Idle | None: ...
    @property
    def has_goals(self) -> bool: ...

    def problems(self, split: str, n: int) -> Iterator[Problem]:
        """Makes the first n problems of a split; none is solved at the start."""
        ...

    def problem(self, seed: int) -> Problem:
        """Makes the problem of a seed."""
        ...

    def subject(self, is_goal_known: bool = True) -> Subject:
        """Gives what films are about."""
        ...

    def close(self) -> None:
        """Closes its envs."""
        ...


class TabletopArena:
    """One of our tasks; see `Arena`.

    Attributes:
        env: Its env.
    """

    idle = None
    has_goals = True

    def __init__(self, env: TabletopEnv) -> None:
        self.env = env

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.env.task.name

    @property
    def budget(self) -> int:
        """Control steps of an episode."""
        return self.env.budget

    @property
    def fingerprint(self) -> str:
        """Names how the env looks and behaves."""
        return environment_fingerprint(self.env)

    @property
    def action_spec(self) -> ActionSpec:
        """What its actions mean."""
        return ActionSpec.from_json(self.env.metadata["action_spec"])

    @property
    def envs(self) -> ProblemEnv:
        """The one env, which all problems run in."""
        return self.env

    def problems(self, split: str, n: int) -> Iterator[Problem]:
        """Makes problems from seeds."""
        return task_problems(self.env, split, n)

    def problem(self, seed: int) -> Problem:
        """Makes the problem of a seed."""
        return make_problem(self.env, seed)

    def subject(self, is_goal_known: bool = True) -> Subject:
        """Gives what films are about."""
        return subject_of(self.env, is_goal_known)

    def close(self) -> None:
        """Closes the env."""
        self.env.close()

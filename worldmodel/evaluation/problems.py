"""Sets of held-out problems: made from seeds, never solved at the start, saved."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from envs.problems import make_start_and_goal
from envs.tabletop import TabletopEnv
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.protocol import SPLIT_SEEDS, Protocol

ARRAY_NAMES = ("seeds", "states", "goals", "start_images", "goal_images")
# Problem i tries seed first + i, then every _RETRY_STRIDE further on: what one
# problem needs never moves the others.
_RETRY_STRIDE = 1_000_000
_RETRIES = 10


@dataclass(frozen=True)
class Problem:
    """A start and a goal, with their images.

    Attributes:
        task: Name of the task.
        seed: The seed that made it.
        state: float64 (S,) start state.
        goal: float64 (S,) whole end state.
        start_image: uint8 (height, width, 3).
        goal_image: uint8 (height, width, 3).
    """

    task: str
    seed: int
    state: np.ndarray
    goal: np.ndarray
    start_image: np.ndarray
    goal_image: np.ndarray


MakeProblem = Callable[[int], Problem]
IsSolved = Callable[[Problem], bool]


def make_problem(env: TabletopEnv, seed: int) -> Problem:
    """Makes one problem of an environment's task from a seed."""
    made = make_start_and_goal(env.simulation, env.task, seed)
    return Problem(
        task=env.task.name,
        seed=seed,
        state=made.start,
        goal=made.goal,
        start_image=env.render_goal(made.start),
        goal_image=env.render_goal(made.goal),
    )


def is_solved_at_start(env: TabletopEnv, problem: Problem) -> bool:
    """Whether a problem's start already meets its goal."""
    env.set_state(problem.state)
    env.set_goal(problem.goal)
    return bool(env.info()["is_success"])


@dataclass(frozen=True)
class ProblemSet:
    """Start-goal pairs of one task and split.

    Attributes:
        task: Name of the task.
        split: One of SPLIT_SEEDS.
        environment: Fingerprint of the environment they were made in.
        seeds: int64 (n,) the seed that made each problem.
        states: float64 (n, S) start states.
        goals: float64 (n, S) whole end states.
        start_images: uint8 (n, height, width, 3).
        goal_images: uint8 (n, height, width, 3).
    """

    task: str
    split: str
    environment: str
    seeds: np.ndarray
    states: np.ndarray
    goals: np.ndarray
    start_images: np.ndarray
    goal_images: np.ndarray

    def __post_init__(self) -> None:
        if self.split not in SPLIT_SEEDS:
            raise WorldModelError(
                f"split must be one of {[*SPLIT_SEEDS]}, got {self.split!r}"
            )
        _check_array("seeds", self.seeds, np.int64, 1)
        for name in ("states", "goals"):
            _check_array(name, getattr(self, name), np.float64, 2)
        for name in ("start_images", "goal_images"):
            _check_array(name, getattr(self, name), np.uint8, 4)
        lengths = {name: len(getattr(self, name)) for name in ARRAY_NAMES}
        if len(set(lengths.values())) != 1 or len(self.seeds) == 0:
            raise WorldModelError(
                f"arrays must have one length of at least 1, got {lengths}"
            )
        allowed = SPLIT_SEEDS[self.split]
        outside = [int(seed) for seed in self.seeds if int(seed) not in allowed]
        if outside:
            raise WorldModelError(
                f"seeds of split {self.split!r} must be in [{allowed.start}, "
                f"{allowed.stop}), got {outside[0]}"
            )

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def fingerprint(self) -> str:
        """Gives 16 hexadecimal digits that change with any bit of the problems."""
        digest = hashlib.sha256(f"{self.task} {self.split} {self.environment}".encode())
        for name in ARRAY_NAMES:
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()[:16]

    def head(self, n: int) -> ProblemSet:
        """Gives the first n problems."""
        if not 1 <= n <= len(self):
            raise WorldModelError(f"n must be in [1, {len(self)}], got {n}")
        return dataclasses.replace(
            self, **{name: getattr(self, name)[:n] for name in ARRAY_NAMES}
        )

    def protocol(self, name: str, budget: int) -> Protocol:
        """Gives the protocol of these problems with a budget in control steps."""
        return Protocol(
            name=name,
            task=self.task,
            split=self.split,
            n=len(self),
            budget=budget,
            environment=self.environment,
        )


def task_problems(env: TabletopEnv, split: str, n: int) -> Iterator[Problem]:
    """Makes the first n problems of a split for an environment's task."""
    return unsolved_problems(
        split,
        n,
        make=lambda seed: make_problem(env, seed),
        is_solved=lambda problem: is_solved_at_start(env, problem),
    )


def unsolved_problems(
    split: str, n: int, make: MakeProblem, is_solved: IsSolved
) -> Iterator[Problem]:
    """Makes the first n problems of a split, one by one.

    A problem that is solved at the start is replaced deterministically, without an
    effect on the others: the first n problems of a larger set are the smaller set.

    Args:
        split: One of SPLIT_SEEDS.
        n: Number of problems.
        make: Makes a problem from a seed.
        is_solved: Whether a problem's start already solves it.
    """
    if split not in SPLIT_SEEDS:
        raise WorldModelError(f"split must be one of {[*SPLIT_SEEDS]}, got {split!r}")
    if not 1 <= n <= _RETRY_STRIDE:
        raise WorldModelError(f"n must be in [1, {_RETRY_STRIDE}], got {n}")
    for index in range(n):
        yield _unsolved_problem(SPLIT_SEEDS[split].start + index, make, is_solved)


def _unsolved_problem(
    first_seed: int, make: MakeProblem, is_solved: IsSolved
) -> Problem:
    for attempt in range(_RETRIES):
        problem = make(first_seed + attempt * _RETRY_STRIDE)
        if not is_solved(problem):
            return problem
    raise WorldModelError(
        f"seed {first_seed} gave {_RETRIES} problems in a row that are solved at the "
        "start; the task's starts and goals are too close together"
    )


def collect_problems(
    problems: Iterable[Problem], split: str, environment: str
) -> ProblemSet:
    """Puts problems of one task together into a set."""
    rows = list(problems)
    tasks = sorted({row.task for row in rows})
    if len(tasks) != 1:
        raise WorldModelError(f"problems must be of exactly 1 task, got {tasks}")
    return ProblemSet(
        task=tasks[0],
        split=split,
        environment=environment,
        seeds=np.array([row.seed for row in rows], dtype=np.int64),
        states=np.stack([np.asarray(row.state, dtype=np.float64) for row in rows]),
        goals=np.stack([np.asarray(row.goal, dtype=np.float64) for row in rows]),
        start_images=np.stack([row.start_image for row in rows]),
        goal_images=np.stack([row.goal_image for row in rows]),
    )


def _check_array(name: str, array: np.ndarray, dtype: type, rank: int) -> None:
    if array.dtype != dtype or array.ndim != rank:
        raise WorldModelError(
            f"{name} must be {np.dtype(dtype)} with {rank} dimensions, got "
            f"{array.dtype} {array.shape}"
        )

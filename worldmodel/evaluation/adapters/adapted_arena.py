"""Any env with an adapter, as the place where a model is evaluated."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from worldmodel.action_spec import ActionSpec
from worldmodel.errors import WorldModelError
from worldmodel.evaluation.adapters.adapted_env import AdaptedEnv, judged
from worldmodel.evaluation.adapters.adapter import Adapter
from worldmodel.evaluation.adapters.finding import make_adapter, source_of
from worldmodel.evaluation.adapters.looks import require_alike
from worldmodel.evaluation.environment import ProblemEnv
from worldmodel.evaluation.film_subject import Subject, View
from worldmodel.evaluation.problems import Problem
from worldmodel.evaluation.protocol import SPLIT_SEEDS
from worldmodel.evaluation.recorded_goals import RecordedGoals
from worldmodel.evaluation.side_by_side import EnvPool
from worldmodel.evaluation.world_model_policy import Idle

_TRIES = 100  # seeds for a problem of the env's own that is not solved at its start


@dataclass
class AdaptedArena:
    """An env of Gymnasium; see `Arena`.

    Attributes:
        task: The env's id.
        kind: Class of its adapter.
        action_spec: What actions in [-1, 1] stand for: as the model has them.
        height: Of the pixels that the model sees [px].
        width: Of them [px].
        budget: Control steps of an episode.
        goals: Recorded starts and goals; None for problems of the env's own.
    """

    task: str
    kind: type[Adapter]
    action_spec: ActionSpec
    height: int
    width: int
    budget: int
    goals: RecordedGoals | None = None
    _pool: EnvPool = field(init=False, repr=False)
    _adapter: Adapter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise WorldModelError(f"budget must be at least 1 step, got {self.budget}")
        self._adapter = make_adapter(self.task, self.kind)
        unused = [self._adapter]

        def make() -> ProblemEnv:
            adapter = unused.pop() if unused else make_adapter(self.task, self.kind)
            return AdaptedEnv(adapter, self.action_spec, self.height, self.width)

        self._pool = EnvPool(make)

    @property
    def adapter(self) -> Adapter:
        """The adapter of the first of its envs."""
        return self._adapter

    @property
    def fingerprint(self) -> str:
        """Names env, adapter, what is asked of it, and where goals are from."""
        package = self.kind.module.partition(".")[0]
        facts = {
            "env": self.task,
            "version": _version(package) if package else "",
            "adapter": source_of(self.kind),
            "tolerances": dict(self._adapter.tolerances),
            "budget": self.budget,
            "pixels": [self.height, self.width],
            "action_spec": self.action_spec.to_json(),
            "goals": None if self.goals is None else self.goals.frames.fingerprint,
            "ahead": None if self.goals is None else self.goals.ahead,
        }
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def pool(self) -> EnvPool:
        """Its envs, each made when first needed."""
        return self._pool

    @property
    def envs(self) -> ProblemEnv | EnvPool:
        """One env for all problems where it can be, else one for each."""
        return self._first if self.kind.in_turns else self._pool

    @property
    def idle(self) -> Idle | None:
        """Which action does nothing, where the adapter tells it."""
        if not self.kind.has("hold"):
            return None

        def idle(proprio: np.ndarray) -> np.ndarray:
            held = np.stack([self._adapter.hold(row) for row in proprio])
            return self.action_spec.normalised(held).astype(np.float32)

        return idle

    @property
    def has_goals(self) -> bool:
        """Whether the env has problems of its own, with goals."""
        return self.kind.has("problem")

    def start(self, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Starts an episode of the env's own; gives observation and state (n,)."""
        observation, _ = self._first.reset(seed=seed)
        return observation, self._first.get_state()

    def check(self) -> None:
        """Starts an episode, and compares the env with the goals' dataset.

        Raises:
            WorldModelError: The env shows no picture, its adapter does not restore the
                dataset's states, or what it shows then is not what was recorded.
        """
        _, state = self.start(seed=0)
        if self.goals is None:
            return
        require_alike(self.goals, self._shown, len(state), self.kind.__name__)

    def problems(self, split: str, n: int) -> Iterator[Problem]:
        """Makes the first n problems of a split, without those solved at the start.

        The seed of a problem counts what was drawn before it, also what is left out.

        Raises:
            WorldModelError: There are not so many.
        """
        if split not in SPLIT_SEEDS:
            raise WorldModelError(
                f"split must be one of {[*SPLIT_SEEDS]}, got {split!r}"
            )
        drawn = self._own(split, n) if self.goals is None else self._recorded(split)
        found = seen = 0
        for problem in drawn:
            seen += 1
            if problem is None:
                continue
            yield problem
            found += 1
            if found == n:
                return
        raise WorldModelError(
            f"{n} problems are wanted, {found} of the {seen} starts of the {split} "
            "split are not solved already: take fewer (n=), or more ahead"
        )

    def problem(self, seed: int) -> Problem:
        """Makes a problem of the env's own; one without a goal has its own picture."""
        env = self._first
        goal = picture = None
        if self.kind.has("problem"):
            goal, picture = self._adapter.problem(seed)
            picture = env.seen(picture)
        if self.kind.has("restore") and goal is not None:
            state = env.get_state()
            observation, _ = env.reset(seed=seed, options={"state": state})
        else:
            observation, _ = env.reset(seed=seed)
            state = np.zeros(0)
        pixels = observation["pixels"]
        return Problem(
            task=self.task,
            seed=seed,
            state=np.asarray(state, np.float64),
            goal=np.zeros(0) if goal is None else np.asarray(goal, np.float64),
            start_image=pixels,
            goal_image=pixels if picture is None else picture,
        )

    def subject(self, is_goal_known: bool = True) -> Subject:
        """Gives what films are about."""
        tolerances = self._adapter.tolerances
        main = next(iter(tolerances), "")
        return Subject(
            task=self.task,
            budget=self.budget,
            radius=tolerances[main] if main and is_goal_known else None,
            unit=unit_of(main),
            per_unit=1.0,
            open_view=self._open_view if self.kind.has("restore") else None,
            rate_hz=self.action_spec.rate_hz,
        )

    def close(self) -> None:
        """Closes its envs."""
        self._pool.close()

    @contextmanager
    def _open_view(self, goal: np.ndarray, side: int) -> Iterator[View]:
        """The env's own rendering of states, between groups of problems."""
        del goal, side

        def view(state: np.ndarray) -> np.ndarray:
            return self._adapter.view(self._adapter.restore(state))

        self._first.reset(seed=0)
        yield view

    @property
    def _first(self) -> AdaptedEnv:
        (env,) = self._pool.take(1)
        assert isinstance(env, AdaptedEnv)
        return env

    def _own(self, split: str, n: int) -> Iterator[Problem | None]:
        """The env's own problems; None where the start is solved already."""
        first = SPLIT_SEEDS[split].start
        for place in range(n + _TRIES):
            problem = self.problem(first + place)
            reached = self._is_reached(problem.state, problem.goal)
            yield None if reached else problem

    def _recorded(self, split: str) -> Iterator[Problem | None]:
        """Recorded starts and goals; None where there is nothing to solve."""
        goals = self.goals
        assert goals is not None
        for place, row in enumerate(goals.starts(split).tolist()):
            state, goal = goals.told(row), goals.told(row + goals.ahead)
            if not len(state) or not len(goal) or self._is_reached(state, goal):
                yield None
                continue
            seed = SPLIT_SEEDS[split].start + place
            observation, _ = self._first.reset(seed=seed, options={"state": state})
            yield Problem(
                task=self.task,
                seed=seed,
                state=state,
                goal=goal,
                start_image=observation["pixels"],
                goal_image=goals.picture(row + goals.ahead),
            )

    def _is_reached(self, state: np.ndarray, goal: np.ndarray) -> bool:
        """Whether a state is where a goal wants it; False where nobody can tell."""
        if not self.kind.has("distances") or not len(goal):
            return False
        return judged(self._adapter, state, goal)["is_success"]

    def _shown(self, state: np.ndarray) -> np.ndarray:
        """What the env shows at a recorded state."""
        return self._first.reset(seed=0, options={"state": state})[0]["pixels"]


def rejected(seeds: np.ndarray, split: str) -> int:
    """How many starts were left out before these problems, solved already."""
    return int(seeds[-1]) - SPLIT_SEEDS[split].start + 1 - len(seeds)


def unit_of(name: str) -> str:
    """Gives the unit in brackets at the end of a distance's name, "" for none."""
    return name.rpartition("[")[2].removesuffix("]") if name.endswith("]") else ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return ""

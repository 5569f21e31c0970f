"""Runs problems in lockstep: a group of problems, one batched policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.evaluation.environment import ProblemEnv, Sparing
from worldmodel.evaluation.episode import Episode, Trace
from worldmodel.evaluation.policy import Decision, Glancing, Policy, Privileged
from worldmodel.evaluation.problems import ProblemSet
from worldmodel.evaluation.protocol import Protocol, ProtocolMismatch
from worldmodel.evaluation.side_by_side import EnvPool, side_by_side

Observation = dict[str, np.ndarray]


@dataclass(frozen=True)
class Moment:
    """What a watcher sees at a step of a group.

    Attributes:
        indices: int (B,) places of the problems in their set.
        step: Control steps taken so far.
        pixels: uint8 (B, height, width, 3) frames of this moment.
        goal_images: uint8 (B, height, width, 3).
        states: (B, n) true states of this moment; for those who look on.
        goals: (B, n) true goal states.
        distances: (B,) main distance of each problem.
        solved: bool (B,) whether each is solved at this moment.
        decision: The decision taken on these frames, None after the last step.
    """

    indices: np.ndarray
    step: int
    pixels: np.ndarray
    goal_images: np.ndarray
    states: np.ndarray
    goals: np.ndarray
    distances: np.ndarray
    solved: np.ndarray
    decision: Decision | None


Watch = Callable[[Moment], None]


def run(
    problems: ProblemSet,
    protocol: Protocol,
    policy: Policy,
    env: ProblemEnv | EnvPool,
    group: int = 16,
    watch: Watch | None = None,
    first: int = 0,
) -> Iterator[Episode]:
    """Runs every problem of a set and yields its episode as its group finishes.

    Memory is bounded by the group, however many problems there are.

    Args:
        problems: The problems; must be those of the protocol.
        protocol: Task, number of problems and budget.
        policy: Started anew for each group of at most `group` problems.
        env: An environment of the task, in which all problems run, in turns; or
            several, of which each problem of a group gets its own.
        group: Problems that the policy decides side by side.
        watch: Called at every step of every group, and once after the last step.
        first: Number of problems that are done: whole groups.

    Raises:
        ProtocolMismatch: The problems are not those of the protocol.
        WorldModelError: A problem is solved at the start, or an observation, an
            action or the environment breaks its contract; the message says where.
    """
    if group < 1:
        raise WorldModelError(f"group must be at least 1, got {group}")
    if first % group and first != len(problems):
        raise WorldModelError(f"first must end a group of {group}, got {first}")
    check_problems(problems, protocol)
    for start in range(first, len(problems), group):
        indices = np.arange(start, min(start + group, len(problems)))
        yield from _Lockstep(env, problems, indices, protocol).run(policy, watch)


def check_problems(problems: ProblemSet, protocol: Protocol) -> None:
    """Raises unless a set of problems is the one that a protocol speaks of."""
    for name, given, wanted in (
        ("task", problems.task, protocol.task),
        ("split", problems.split, protocol.split),
        ("environment", problems.environment, protocol.environment),
        ("n", len(problems), protocol.n),
    ):
        if given != wanted:
            raise ProtocolMismatch(
                f"the problems have {name} {given!r}, protocol {protocol.name!r} "
                f"has {wanted!r}"
            )


@dataclass
class _Lockstep:
    """One group of problems, of which each has an env, or all share one.

    Where they share one simulator and one renderer, each problem's state is put into
    the simulator for its step and taken out again: replay from a state is
    bit-identical, and there is never a second GL context.
    """

    envs: ProblemEnv | EnvPool
    problems: ProblemSet
    indices: np.ndarray
    protocol: Protocol

    def __post_init__(self) -> None:
        self.each, self.is_shared = side_by_side(self.envs, len(self.indices))

    def run(self, policy: Policy, watch: Watch | None) -> list[Episode]:
        """Gives the episodes of the group."""
        traces = [Trace() for _ in self.indices]
        goal_images = self.problems.goal_images[self.indices]
        observations, states = self._reset(traces)
        policy.start(goal_images, self.problems.seeds[self.indices])
        for step in range(self.protocol.budget):
            pixels, proprio = self._stack(observations, step)
            if isinstance(policy, Privileged):
                policy.see(states, self.problems.goals[self.indices])
            decision = _act(policy, pixels, proprio)
            self._check_decision(decision, step)
            if watch is not None:
                watch(self._moment(step, pixels, states, traces, decision))
            is_last = step + 1 == self.protocol.budget
            draws = watch is not None or (_looks(policy) and not is_last)
            observations, states = self._step(decision, step, states, traces, draws)
        if watch is not None:
            last = self.protocol.budget
            pixels, _ = self._stack(observations, last)
            watch(self._moment(last, pixels, states, traces, None))
        return [
            trace.episode(int(i), self.problems.task, int(self.problems.seeds[i]))
            for trace, i in zip(traces, self.indices, strict=True)
        ]

    def _moment(
        self,
        step: int,
        pixels: np.ndarray | None,
        states: np.ndarray,
        traces: list[Trace],
        decision: Decision | None,
    ) -> Moment:
        assert pixels is not None  # drawn for whoever watches
        return Moment(
            indices=self.indices,
            step=step,
            pixels=pixels,
            goal_images=self.problems.goal_images[self.indices],
            states=states,
            goals=self.problems.goals[self.indices],
            distances=np.array([trace.distances[-1] for trace in traces]),
            solved=np.array([trace.solved[-1] for trace in traces]),
            decision=decision,
        )

    def _reset(self, traces: list[Trace]) -> tuple[list[Observation], np.ndarray]:
        observations, states = [], []
        for row, i in enumerate(self.indices):
            start, goal = self.problems.states[i], self.problems.goals[i]
            observation, info = self.each[row].reset(
                seed=int(self.problems.seeds[i]),
                options={"state": start, "goal": goal},
            )
            if info["is_success"]:
                raise WorldModelError(f"{self._name(row, 0)} is solved at the start")
            traces[row].see(info)
            observations.append(observation)
            states.append(self.each[row].get_state())
        return observations, np.stack(states)

    def _step(
        self,
        decision: Decision,
        step: int,
        states: np.ndarray,
        traces: list[Trace],
        draws: bool,
    ) -> tuple[list[Observation], np.ndarray]:
        observations, next_states = [], np.empty_like(states)
        is_last = step + 1 == self.protocol.budget
        for row, i in enumerate(self.indices):
            env = self.each[row]
            if self.is_shared:
                env.set_state(states[row])
                env.set_goal(self.problems.goals[i])
            action = decision.actions[row]
            if isinstance(env, Sparing):
                env.draws = draws
            observation, _, terminated, truncated, info = env.step(action)
            if terminated or (truncated and not is_last):
                raise WorldModelError(
                    f"{self._name(row, step + 1)} ended before the budget of "
                    f"{self.protocol.budget} steps "
                    f"(terminated={terminated}, truncated={truncated})"
                )
            if not np.isfinite(info["distance"]):
                raise WorldModelError(
                    f"distance is {info['distance']} in {self._name(row, step + 1)}"
                )
            traces[row].decide(decision, row)
            traces[row].see(info)
            observations.append(observation)
            next_states[row] = env.get_state()
        return observations, next_states

    def _stack(
        self, observations: list[Observation], step: int
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Gives pixels (B, height, width, 3) and proprio (B, S), both checked.

        Pixels are None where none were drawn.
        """
        expected = self.problems.goal_images.shape[1:]
        for row, observation in enumerate(observations):
            pixels, proprio = observation.get("pixels"), observation["proprio"]
            if not np.isfinite(proprio).all():
                bad = np.flatnonzero(~np.isfinite(proprio)).tolist()
                raise WorldModelError(
                    f"proprio has NaN or infinity at {bad} in {self._name(row, step)}"
                )
            if pixels is None:
                continue
            if pixels.dtype != np.uint8 or pixels.shape != expected:
                raise WorldModelError(
                    f"pixels must be uint8 {expected} like the goal image, got "
                    f"{pixels.dtype} {pixels.shape} in {self._name(row, step)}"
                )
        proprio = np.stack([observation["proprio"] for observation in observations])
        if "pixels" not in observations[0]:
            return None, proprio
        return np.stack([seen["pixels"] for seen in observations]), proprio

    def _check_decision(self, decision: Decision, step: int) -> None:
        wanted = (len(self.indices), *(self.each[0].action_space.shape or ()))
        if decision.actions.shape != wanted:
            raise WorldModelError(
                f"actions must have shape {wanted}, got {decision.actions.shape}"
            )
        inside = np.isfinite(decision.actions) & (np.abs(decision.actions) <= 1)
        for row in np.flatnonzero(~inside.all(axis=1)):
            raise WorldModelError(
                f"actions must be finite and in [-1, 1], got "
                f"{decision.actions[row].tolist()} in {self._name(int(row), step)}"
            )

    def _name(self, row: int, step: int) -> str:
        i = int(self.indices[row])
        return (
            f"task {self.problems.task}, problem {i} "
            f"(seed {int(self.problems.seeds[i])}), step {step}"
        )


def _looks(policy: Policy) -> bool:
    """Whether a policy looks at the next frames."""
    return not isinstance(policy, Glancing) or policy.looks


def _act(policy: Policy, pixels: np.ndarray | None, proprio: np.ndarray) -> Decision:
    if pixels is not None:
        return policy.act(pixels, proprio)
    return cast(Glancing, policy).act(None, proprio)  # all others look at every frame

"""Rolls out true simulations of many action sequences, in worker processes."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from envs.simulation import Simulation
from worldmodel.errors import WorldModelError


@dataclass(frozen=True)
class SimulatorPool:
    """Simulations side by side.

    Processes, not threads: the inverse kinematics of a step runs in Python, and
    threads would wait for each other there.

    Attributes:
        executor: Worker processes, None to simulate in this process.
        workers: Number of worker processes.
    """

    executor: ProcessPoolExecutor | None = None
    workers: int = 1

    def rollout(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Gives the states (B, N, H, n) after each step.

        Args:
            states: float64 (B, n) where the B problems are now.
            actions: (B, N, H, A) in [-1, 1].
        """
        if actions.ndim != 4 or len(actions) != len(states):
            raise WorldModelError(
                f"actions must be ({len(states)}, N, H, A), got {actions.shape}"
            )
        jobs = [
            (state, sequences)
            for state, candidates in zip(states, actions, strict=True)
            for sequences in np.array_split(candidates, self.workers)
            if len(sequences)
        ]
        run = map if self.executor is None else self.executor.map
        futures = list(run(_rollout_job, jobs))
        return np.concatenate(futures).reshape(*actions.shape[:3], states.shape[1])


@contextmanager
def simulator_pool(workers: int = 1) -> Iterator[SimulatorPool]:
    """Opens a pool; 1 worker means this process."""
    if workers < 1:
        raise WorldModelError(f"workers must be at least 1, got {workers}")
    if workers == 1:
        yield SimulatorPool()
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        yield SimulatorPool(executor, workers)


def _rollout_job(job: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Gives the states (N, H, n) of N sequences (N, H, A) from one state (n,)."""
    state, sequences = job
    simulation = _own_simulation()
    futures = np.empty((*sequences.shape[:2], len(state)))
    for candidate, sequence in enumerate(sequences):
        simulation.set_state(state)
        for step, action in enumerate(sequence):
            simulation.step(action)
            futures[candidate, step] = simulation.get_state()
    return futures


@functools.cache
def _own_simulation() -> Simulation:
    """Gives the one simulation of this process."""
    return Simulation()

"""One resumable optimisation loop for every stage of training."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from worldmodel.checkpoints.training_state import (
    TrainingState,
    load_training_state,
    save_training_state,
)
from worldmodel.training import distributed
from worldmodel.training.recorded import LossTerms
from worldmodel.training.updates import Job, Updates, require_finite

OnStep = Callable[[int, dict[str, float]], None]

MOST_WINDOWS = 100_000  # of a step of stage 1, or clips
_SMOOTHING = 0.98


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        steps: optimiser steps.
        learning_rate: its peak; reached linearly, left along a cosine.
        warmup: steps until the peak.
        final: learning rate at the end over its peak.
        weight_decay: of AdamW (Loshchilov & Hutter 2019).
        clip: largest norm of the gradient.
        save_every: seconds between two saved states [s].
        extended_from: smaller numbers of steps that the run was to have before, in
            order; up to each of them the cosine is the one over that number.
        seconds: wall-clock time after which to stop with what there is [s], counted
            from the start of the process's training; the learning rate falls by the
            clock where that is ahead of the steps. Such a run is not repeatable to the
            bit. None for no limit.
    """

    steps: int
    learning_rate: float = 1e-3
    warmup: int = 200
    final: float = 0.02
    weight_decay: float = 0.02
    clip: float = 1.0
    save_every: float = 60.0
    extended_from: tuple[int, ...] = ()
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"seconds must be above 0, got {self.seconds}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        stretches = (0, *self.extended_from, self.steps)
        if any(a >= b for a, b in itertools.pairwise(stretches)):
            raise ValueError(
                f"extended_from must rise from above 0 to below steps={self.steps}, "
                f"got {self.extended_from}"
            )

    def factor(self, step: int, elapsed: float = 0.0) -> float:
        """Learning rate at a step over its peak, in (0, 1].

        Args:
            step: steps done.
            elapsed: time since the training began [s].
        """
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        end = next((n for n in self.extended_from if step < n), self.steps)
        share = step / end
        if self.seconds is not None:
            share = max(share, elapsed / self.seconds)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        return rise * (self.final + (1 - self.final) * fall)


@dataclass(frozen=True)
class Training:
    """How far, by which random numbers, and who keeps and watches it.

    Attributes:
        schedule: steps and learning rate.
        generator: the only source of randomness that losses may use.
        state_path: file to save to and to go on from; None keeps nothing.
        on_step: called with the steps done and the smoothed terms.
    """

    schedule: Schedule
    generator: torch.Generator
    state_path: Path | None = None
    on_step: OnStep | None = None


def fit(jobs: Mapping[str, Job], training: Training) -> dict[str, float]:
    """Optimises one module or several, going on from a saved state if there is one.

    Matrix products are in bfloat16 where that is faster. Each gradient is clipped on
    its own, so that modules which share no weights learn as they would alone. Several
    processes (`training.distributed`) take the same steps; the first saves the state,
    from which as many or one can go on.

    Args:
        jobs: what to optimise, by name; the modules end trained, in place.
        training: how.

    Returns:
        The smoothed loss terms at the end; of several jobs each has its name before.

    Raises:
        WorldModelError: The loss is not finite.
    """
    schedule, path = training.schedule, training.state_path
    updates = Updates(
        jobs, schedule.learning_rate, schedule.weight_decay, schedule.clip
    )
    optimizer = updates.optimizer
    modules = {name: job.module for name, job in jobs.items()}
    state = TrainingState(
        modules, {"adamw": optimizer}, {"batches": training.generator}
    )
    step, smooth, terms = 0, {}, {}
    if path is not None and path.is_file():
        step, smooth = load_training_state(path, state)
    for module in modules.values():
        distributed.synchronise(module)
        module.train()
    begun = saved = time.monotonic()
    while step < schedule.steps:
        elapsed = distributed.agreed(time.monotonic() - begun)
        if schedule.seconds is not None and elapsed >= schedule.seconds:
            break
        rate = schedule.learning_rate * schedule.factor(step, elapsed)
        terms = updates.take(rate)
        step += 1
        if step % updates.told == 0 or step == schedule.steps:
            require_finite(terms)
            smooth = _blend(smooth, terms, -(-step // updates.told))
            if training.on_step is not None:
                training.on_step(step, smooth)
            is_due = time.monotonic() - saved > schedule.save_every
            if is_due or step == schedule.steps:
                _save(path, state, step, smooth)
                saved = time.monotonic()
    if step < schedule.steps and terms:
        require_finite(terms)
        _save(path, state, step, smooth)
    for module in modules.values():
        module.eval()
    return smooth


def _save(
    path: Path | None, state: TrainingState, step: int, smooth: dict[str, float]
) -> None:
    if path is not None and distributed.is_first():
        save_training_state(path, state, step, smooth)


def _blend(
    smooth: Mapping[str, float], terms: LossTerms, step: int
) -> dict[str, float]:
    """Running means of the terms, unbiased at the start."""
    keep = min(_SMOOTHING, 1 - 1 / step)
    fresh = {name: float(value) for name, value in terms.items()}
    return {
        name: keep * smooth.get(name, value) + (1 - keep) * value
        for name, value in fresh.items()
    }

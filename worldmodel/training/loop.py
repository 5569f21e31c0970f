"""One resumable optimisation loop for every stage of training."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from worldmodel.checkpoints.training_state import (
    TrainingState,
    load_training_state,
    save_training_state,
)
from worldmodel.errors import WorldModelError
from worldmodel.hardware import bf16_pays
from worldmodel.training import distributed

LossTerms = dict[str, Tensor]
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
class Job:
    """A module in training.

    Attributes:
        module: holds every parameter and moving average.
        loss: the terms of one fresh batch; `total` is differentiated.
        after_step: called after each optimiser step, e.g. for a moving average.
    """

    module: nn.Module
    loss: Callable[[], LossTerms]
    after_step: Callable[[], None] | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser changes."""
        return [p for p in self.module.parameters() if p.requires_grad]


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
    optimizer = torch.optim.AdamW(
        [p for job in jobs.values() for p in job.parameters],
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        betas=(0.9, 0.95),
    )
    modules = {name: job.module for name, job in jobs.items()}
    state = TrainingState(
        modules, {"adamw": optimizer}, {"batches": training.generator}
    )
    step, smooth = 0, {}
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
        terms = _update(jobs, optimizer, rate, schedule.clip)
        step += 1
        smooth = _blend(smooth, terms, step)
        if training.on_step is not None:
            training.on_step(step, smooth)
        is_due = time.monotonic() - saved > schedule.save_every
        if is_due or step == schedule.steps:
            _save(path, state, step, smooth)
            saved = time.monotonic()
    if step < schedule.steps:
        _save(path, state, step, smooth)
    for module in modules.values():
        module.eval()
    return smooth


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 matrix products for training on a device, where they are faster."""
    pays = bool(distributed.agreed(bf16_pays(device)))
    return torch.autocast(device.type, torch.bfloat16, enabled=pays)


def _save(
    path: Path | None, state: TrainingState, step: int, smooth: dict[str, float]
) -> None:
    if path is not None and distributed.is_first():
        save_training_state(path, state, step, smooth)


def _update(
    jobs: Mapping[str, Job], optimizer: torch.optim.Optimizer, rate: float, clip: float
) -> LossTerms:
    for group in optimizer.param_groups:
        group["lr"] = rate
    with autocast(next(iter(jobs.values())).parameters[0].device):
        terms = _joined({name: job.loss() for name, job in jobs.items()})
    if not torch.isfinite(terms["total"]):
        shown = {name: float(value.detach()) for name, value in terms.items()}
        raise WorldModelError(
            f"the loss is not finite: {shown}; lower learning_rate or look for NaN "
            "in the dataset"
        )
    terms["total"].backward()
    for job in jobs.values():
        distributed.average_gradients(job.parameters)
        nn.utils.clip_grad_norm_(job.parameters, clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    for job in jobs.values():
        if job.after_step is not None:
            job.after_step()
    return terms


def _joined(losses: Mapping[str, LossTerms]) -> LossTerms:
    """The terms of all jobs; of several, each under its job's name."""
    if len(losses) == 1:
        return next(iter(losses.values()))
    joined = {"total": torch.stack([t["total"] for t in losses.values()]).sum()}
    for name, terms in losses.items():
        for term, value in terms.items():
            joined[name if term == "total" else f"{name}.{term}"] = value
    return joined


def _blend(
    smooth: Mapping[str, float], terms: LossTerms, step: int
) -> dict[str, float]:
    """Running means of the terms, unbiased at the start."""
    keep = min(_SMOOTHING, 1 - 1 / step)
    fresh = {name: float(value.detach()) for name, value in terms.items()}
    return {
        name: keep * smooth.get(name, value) + (1 - keep) * value
        for name, value in fresh.items()
    }

"""What a step of a training takes, measured before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.hardware import synchronize
from worldmodel.training.updates import Job, autocast


@dataclass(frozen=True)
class StepCost:
    """What a training step takes, before the optimiser.

    Attributes:
        seconds: for the loss and its gradient [s].
        kept: what is kept from the one for the other [bytes].
    """

    seconds: float
    kept: int


def step_cost(job_of: Callable[[int], Job], windows: int) -> StepCost:
    """Measures steps of one and of two windows, and goes on from there in a line.

    What happens once happens to the first, so time is that of the second.

    Args:
        job_of: gives the job with so many windows a step; gradients are left as none.
        windows: of the step that is asked for.
    """
    one, two = measured_step(job_of(1)), measured_step(job_of(2))
    each = max(0, two.kept - one.kept)
    return StepCost(two.seconds * windows / 2, one.kept + (windows - 1) * each)


def measured_step(job: Job) -> StepCost:
    """Measures one batch of a job; draws from its generator."""
    device = job.parameters[0].device
    weights = {p.untyped_storage().data_ptr() for p in job.parameters}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = job.fresh()
    synchronize(device)
    begin = time.perf_counter()
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with autocast(device), hooks:
        terms = job.terms(batch)
    terms["total"].backward()
    synchronize(device)
    seconds = time.perf_counter() - begin
    for parameter in job.parameters:
        parameter.grad = None
    return StepCost(
        seconds, sum(n for place, n in kept.items() if place not in weights)
    )

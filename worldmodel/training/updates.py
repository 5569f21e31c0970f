"""Optimiser steps of one module or several, recorded where that is faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from worldmodel.errors import WorldModelError
from worldmodel.hardware import bf16_pays
from worldmodel.training import distributed
from worldmodel.training.recorded import CudaGraphs, LossTerms, RecordedStep, Recorder

_TOLD = 20  # steps of a GPU from one look at its terms to the next


@dataclass(frozen=True)
class Job:
    """A module in training.

    Attributes:
        module: holds every parameter and moving average.
        loss: the terms of a batch of `draw`; `total` is differentiated. Without `draw`
            it takes nothing, and the batch is its own.
        after_step: called after each optimiser step, e.g. for a moving average.
        draw: a fresh batch with all that chance decides, tensors in dataclasses,
            tuples and mappings. A GPU records the steps of jobs that have it.
    """

    module: nn.Module
    loss: Callable[..., LossTerms]
    after_step: Callable[[], None] | None = None
    draw: Callable[[], Any] | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser changes."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def fresh(self) -> Any:
        """A fresh batch; None where `loss` draws by itself."""
        return self.draw() if self.draw else None

    def terms(self, batch: Any) -> LossTerms:
        """The terms of a batch of `fresh`."""
        return self.loss(batch) if self.draw else self.loss()


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 matrix products for training on a device, where they are faster."""
    pays = bool(distributed.agreed(bf16_pays(device)))
    return torch.autocast(device.type, torch.bfloat16, enabled=pays)


class Updates:
    """Takes optimiser steps; on a GPU recorded ones, where all jobs draw apart.

    Attributes:
        optimizer: AdamW (Loshchilov & Hutter 2019) over all jobs' parameters.
        told: after how many steps terms are looked at; a GPU must wait for that.

    Args:
        jobs: what to optimise, by name.
        learning_rate: to begin with.
        weight_decay: of AdamW.
        clip: largest norm of each job's gradient.
        recorder: records steps; None for CUDA graphs on a GPU, and for none elsewhere.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        learning_rate: float,
        weight_decay: float,
        clip: float,
        recorder: Recorder | None = None,
    ) -> None:
        self._jobs, self._clip = jobs, clip
        parameters = [p for job in jobs.values() for p in job.parameters]
        self._device = parameters[0].device
        on_gpu = self._device.type == "cuda"
        # A recorded step reads the rate from where it was when it was recorded.
        self._rate = torch.tensor(learning_rate, device=self._device)
        self.optimizer = torch.optim.AdamW(
            parameters,
            lr=self._rate if on_gpu else learning_rate,
            weight_decay=weight_decay,
            betas=(0.9, 0.95),
            capturable=on_gpu,
        )
        self._step, self.told = self._update, 1
        draws = all(job.draw is not None for job in jobs.values())
        if on_gpu and draws and distributed.size() == 1:
            recorder = recorder or CudaGraphs()
        if recorder is not None:
            self._step, self.told = RecordedStep(self._update, recorder), _TOLD

    def take(self, rate: float) -> LossTerms:
        """Takes one step with a fresh batch of each job."""
        self._rate.fill_(rate)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate if group.get("capturable") else rate
        return self._step({name: job.fresh() for name, job in self._jobs.items()})

    def _update(self, drawn: Mapping[str, Any]) -> LossTerms:
        with autocast(self._device):
            terms = _joined(
                {name: job.terms(drawn[name]) for name, job in self._jobs.items()}
            )
        if self.told == 1:  # a recorded step can not wait to look
            require_finite(terms)
        terms["total"].backward()
        for job in self._jobs.values():
            distributed.average_gradients(job.parameters)
            nn.utils.clip_grad_norm_(job.parameters, self._clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        for job in self._jobs.values():
            if job.after_step is not None:
                job.after_step()
        return {name: value.detach() for name, value in terms.items()}


def require_finite(terms: LossTerms) -> None:
    """Raises WorldModelError, with all terms, unless the total is finite."""
    if not torch.isfinite(terms["total"]):
        shown = {name: float(value.detach()) for name, value in terms.items()}
        raise WorldModelError(
            f"the loss is not finite: {shown}; lower learning_rate or look for NaN "
            "in the dataset"
        )


def _joined(losses: Mapping[str, LossTerms]) -> LossTerms:
    """The terms of all jobs; of several, each under its job's name."""
    if len(losses) == 1:
        return next(iter(losses.values()))
    joined = {"total": torch.stack([t["total"] for t in losses.values()]).sum()}
    for name, terms in losses.items():
        for term, value in terms.items():
            joined[name if term == "total" else f"{name}.{term}"] = value
    return joined

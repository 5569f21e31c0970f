"""Optimiser steps that a GPU records once and replays.

A step of a small model is thousands of short operations, and launching each takes a GPU
longer than computing it. Recorded as one CUDA graph, a step is one launch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

LossTerms = dict[str, Tensor]
Step = Callable[[Any], LossTerms]
Run = Callable[[], LossTerms]

WARM = 3  # steps of a kind before it is recorded, so that nothing is made at first use


class RecordedStep:
    """A step that is recorded once for each kind of batch, and then replayed.

    A batch is tensors in dataclasses, tuples and mappings. Batches are of one kind
    where everything else in them, and every shape, is equal. Steps must compute of
    their batch alone: a random number that they drew would be the same ever after.

    Args:
        step: takes a batch; changes weights in place.
        recorder: records steps, e.g. `CudaGraphs`.
    """

    def __init__(self, step: Step, recorder: Recorder) -> None:
        self._step = step
        self._recorder = recorder
        self._taken: dict[Hashable, int] = {}
        self._recorded: dict[
            Hashable, tuple[list[Tensor], Callable[[], None], LossTerms]
        ] = {}

    def __call__(self, batch: Any) -> LossTerms:
        """Takes one step. The terms hold until the next step."""
        tensors, kind = list(tensors_of(batch)), kind_of(batch)
        taken = self._taken[kind] = self._taken.get(kind, 0) + 1
        if taken <= WARM:
            return self._recorder.warm(lambda: self._step(batch))
        if kind not in self._recorded:
            inputs = [tensor.clone() for tensor in tensors]
            still = rebuilt(batch, iter(inputs))
            recorded = self._recorder.record(lambda: self._step(still))
            self._recorded[kind] = (inputs, *recorded)
        inputs, replay, terms = self._recorded[kind]
        for own, given in zip(inputs, tensors, strict=True):
            own.copy_(given)
        replay()
        return terms


class Recorder(Protocol):
    """Records what functions do."""

    def warm(self, run: Run) -> LossTerms:
        """Runs what is to be recorded later."""
        ...

    def record(self, run: Run) -> tuple[Callable[[], None], LossTerms]:
        """Records without doing; gives what replays it, and the terms that it fills."""
        ...


class CudaGraphs:
    """Records into CUDA graphs that share one pool of memory."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._aside = torch.cuda.Stream()

    def warm(self, run: Run) -> LossTerms:
        """Runs on a stream of its own, as what is recorded does."""
        self._aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._aside):
            terms = run()
        torch.cuda.current_stream().wait_stream(self._aside)
        return terms

    def record(self, run: Run) -> tuple[Callable[[], None], LossTerms]:
        """Records one graph."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            terms = run()
        return graph.replay, terms


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """The tensors of a batch, in order."""
    if isinstance(batch, Tensor):
        yield batch
    for part in _parts(batch).values():
        yield from tensors_of(part)


def kind_of(batch: Any) -> Hashable:
    """Shapes, types and whatever is no tensor; equal for batches of one kind."""
    if isinstance(batch, Tensor):
        return tuple(batch.shape), batch.dtype
    parts = _parts(batch)
    if parts:
        return tuple((name, kind_of(part)) for name, part in parts.items())
    return batch


def rebuilt(batch: Any, tensors: Iterator[Tensor]) -> Any:
    """The same batch of other tensors, given in the order of `tensors_of`."""
    if isinstance(batch, Tensor):
        return next(tensors)
    parts = {name: rebuilt(part, tensors) for name, part in _parts(batch).items()}
    if is_dataclass(batch) and not isinstance(batch, type):
        return type(batch)(**parts)
    if isinstance(batch, Mapping):
        return parts
    return tuple(parts.values()) if isinstance(batch, tuple) else batch


def _parts(batch: Any) -> Mapping[Any, Any]:
    if is_dataclass(batch) and not isinstance(batch, type):
        return {f.name: getattr(batch, f.name) for f in fields(batch)}
    if isinstance(batch, Mapping):
        return batch
    return dict(enumerate(batch)) if isinstance(batch, tuple) else {}

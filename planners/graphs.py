"""Computations that are recorded once and replayed: CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

_WARM_UPS = 3  # calls before a recording, as torch's documentation has it
_MOST = 8  # recordings that are held


@dataclass(frozen=True)
class Recording(Generic[T]):
    """A computation on fixed memory.

    Attributes:
        output: what it gave; `replay` computes its tensors anew, in place.
        replay: runs the kernels again on what lies in the recorded inputs now.
    """

    output: T
    replay: Callable[[], object]


class Graphed(Generic[T]):
    """A function whose kernels are recorded at its first call and replayed at others.

    A plan is some two thousand small kernels, and launching them one by one takes a GPU
    longer than computing them. Replayed, they are launched at once, and no Python runs.

    Arguments and result are tensors, dataclasses and tuples of them, and whatever is
    the same in each call (numbers, None). The function must depend on nothing else, and
    compute on the GPU alone: without `.item()`, budgets in milliseconds, or CMA-ES,
    whose covariance is in numpy. Calls with other shapes or other numbers are recorded
    for themselves; the newest few recordings are held.

    Args:
        function: to be replayed.
    """

    def __init__(self, function: Callable[..., T]) -> None:
        self._function = function
        self._known: dict[Hashable, tuple[tuple[Any, ...], Recording[T]]] = {}

    def __call__(self, *given: Any) -> T:
        """Gives what the function gives, in memory of its own."""
        key = _signature(given)
        if key not in self._known:
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            inputs = mapped(given, Tensor.clone)
            self._known[key] = inputs, cuda_graph(self._function, inputs)
        inputs, recording = self._known[key]
        for ours, theirs in zip(tensors(inputs), tensors(given), strict=True):
            ours.copy_(theirs)
        recording.replay()
        return mapped(recording.output, Tensor.clone)


def cuda_graph(function: Callable[..., T], inputs: tuple[Any, ...]) -> Recording[T]:
    """Records a call on the current GPU, which replays read from `inputs`.

    Raises:
        ValueError: an input is not on a GPU.
        RuntimeError: the call does something that can not be recorded.
    """
    for tensor in tensors(inputs):
        if tensor.device.type != "cuda":
            raise ValueError(
                "a CUDA graph needs all of its inputs on a GPU, got a tensor on "
                f"{tensor.device}; plan without graphs (cuda_graphs=false)"
            )
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            output = function(*inputs)
    except RuntimeError as error:
        raise RuntimeError(
            "this can not be recorded as a CUDA graph: all of it must be computed on "
            "the GPU, which CMA-ES and budgets in milliseconds are not; plan without "
            f"graphs (cuda_graphs=false). torch says: {error}"
        ) from error
    return Recording(output, graph.replay)


def _signature(value: Any) -> Hashable:
    """What decides which recording is replayed."""
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype, value.device
    if is_dataclass(value):
        return type(value), *map(_signature, _parts(value))
    if isinstance(value, tuple):
        return tuple(map(_signature, value))
    return value


def tensors(value: Any) -> list[Tensor]:
    """Gives all tensors in dataclasses and tuples."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        value = _parts(value)
    if isinstance(value, tuple):
        return [tensor for inner in value for tensor in tensors(inner)]
    return []


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Gives the same with its tensors changed, in the order of `tensors`."""
    if isinstance(value, Tensor):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
        inner = [mapped(part, change) for part in _parts(value)]
        return replace(value, **dict(zip(names, inner, strict=True)))
    if isinstance(value, tuple):
        return tuple(mapped(inner, change) for inner in value)
    return value


def _parts(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, field.name) for field in fields(value))

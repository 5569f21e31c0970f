"""Computations that are recorded once and replayed: CUDA graphs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from planners.cmaes import CMAES
from planners.contract import Planner
from planners.refine import Refine

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
    the same in each call (numbers, texts, None). The function must depend on nothing
    else: weights, precision and settings that it reads stay as they are as long as this
    is used. It must compute on one GPU alone, without reading a value back or bringing
    one there. Calls with other shapes or other numbers are recorded for themselves; the
    newest few recordings are held.

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
            inputs = mapped(given, lambda tensor: tensor.detach().clone())
            self._known[key] = inputs, cuda_graph(self._function, inputs)
        inputs, recording = self._known[key]
        for ours, theirs in zip(tensors(inputs), tensors(given), strict=True):
            ours.copy_(theirs)
        recording.replay()
        return mapped(recording.output, Tensor.clone)


def cuda_graph(function: Callable[..., T], inputs: tuple[Any, ...]) -> Recording[T]:
    """Records a call, which replays read from `inputs`, on the GPU of the inputs.

    Raises:
        ValueError: the inputs are not on one GPU.
        RuntimeError: the call does something that can not be recorded.
    """
    device = _one_gpu(inputs)
    stream, graph = _stream(device), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream), _nothing_collected():  # and on its device
        for _ in range(_WARM_UPS):
            function(*inputs)
        try:
            with torch.cuda.graph(graph, stream=stream):
                output = function(*inputs)
        except RuntimeError as error:
            raise RuntimeError(
                "this can not be recorded as a CUDA graph: all of it must be computed "
                "on the GPU; plan without graphs (cuda_graphs=false). torch says: "
                f"{error.__context__ or error}"
            ) from error
    torch.cuda.current_stream(device).wait_stream(stream)

    def replay() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return Recording(output, replay)


def require_recordable(planner: Planner) -> None:
    """Raises ValueError if a planner's plans can not be recorded."""
    if isinstance(planner, CMAES):
        raise ValueError(
            "CMA-ES can not be recorded as a CUDA graph, its covariance is in numpy; "
            "take another planner, or cuda_graphs=false"
        )
    budget = getattr(planner, "budget_ms", None)
    if budget is not None:
        raise ValueError(
            f"budget_ms={budget} can not be recorded: a CUDA graph always does the "
            "same; take iterations, or cuda_graphs=false"
        )
    if isinstance(planner, Refine):
        require_recordable(planner.first)
        require_recordable(planner.then)


def _one_gpu(inputs: tuple[Any, ...]) -> torch.device:
    devices = {tensor.device for tensor in tensors(inputs)}
    if len(devices) != 1 or next(iter(devices)).type != "cuda":
        raise ValueError(
            "a CUDA graph needs all of its inputs on one GPU, got tensors on "
            f"{sorted(map(str, devices))}; plan without graphs (cuda_graphs=false)"
        )
    return devices.pop()


@lru_cache(maxsize=16)
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for all recordings on a GPU: each has workspaces of its own."""
    return torch.cuda.Stream(device)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Keeps Python from freeing older graphs meanwhile, which would spoil this one."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _signature(value: Any) -> Hashable:
    """What decides which recording is replayed."""
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype, value.device
    if is_dataclass(value):
        return type(value), *map(_signature, _parts(value))
    if isinstance(value, tuple):
        return tuple(map(_signature, value))
    _refuse_containers(value)
    return type(value), value  # 1 and 1.0 are not the same


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
    _refuse_containers(value)
    return value


def _refuse_containers(value: Any) -> None:
    if isinstance(value, (list, dict, set)):
        raise TypeError(
            f"tensors must come in tuples and dataclasses, got a {type(value).__name__}"
        )


def _parts(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, field.name) for field in fields(value))

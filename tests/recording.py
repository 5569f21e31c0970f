"""What planning on a GPU asks for, tested on a CPU.

`record` does what a CUDA graph does: operations are recorded once and run again without
Python. Tensors on torch's "meta" device have no values: reading one is an error, as it
would make a GPU's caller wait.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from planners import Guess
from planners.graphs import Recording, mapped, tensors


def record(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Recording[Any]:
    """Records a call; raises RuntimeError where it reads a value from a tensor."""
    results: list[Any] = []

    def flat(*leaves: Tensor) -> list[Tensor]:
        given = iter(leaves)
        results.append(function(*mapped(inputs, lambda _: next(given))))
        return tensors(results[-1])

    sources = tensors(inputs)
    graph = make_fx(flat)(*sources)
    memory = [tensor.clone() for tensor in graph(*sources)]
    given = iter(memory)

    def replay() -> None:
        for ours, new in zip(memory, graph(*sources), strict=True):
            ours.copy_(new)

    return Recording(mapped(results[-1], lambda _: next(given)), replay)


def where_graphs_are_recorded(monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """Gives the device; on a CPU `Graphed` records as here, not as CUDA does."""
    if name == "cpu":
        monkeypatch.setattr("planners.graphs.cuda_graph", record)
        # reads values, on a CPU alone
        monkeypatch.setattr(Guess, "_check_values", lambda self: None)
        monkeypatch.setattr("worldmodel.inputs._all", lambda finite: True)
    return name


DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="needs a GPU that torch can use"
        ),
    ),
]


def moved(value: Any, device: str) -> Any:
    """Gives the same with its tensors on a device."""
    return mapped(value, lambda tensor: tensor.to(device))


_MAKE = (torch.tensor, torch.as_tensor, Tensor.new_tensor)


class NothingFromTheCPU(TorchFunctionMode):
    """Raises AssertionError where a tensor is on the CPU or made of Python's numbers.

    Numbers may be arguments of kernels, but a list of them, or of places, is copied to
    the device, and a copy from ordinary memory can not be recorded.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func not in _MAKE, f"{func} copies numbers to the device"
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            if isinstance(value, Tensor):
                assert value.device.type != "cpu", f"{func} with a tensor on the CPU"
        if func is Tensor.__getitem__:
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            assert not any(isinstance(p, list) for p in places), "places are copied"
        return result

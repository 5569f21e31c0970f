"""What planning on a GPU asks for, tested on a CPU.

`record` does what a CUDA graph does: operations are recorded once and run again without
Python. Tensors on torch's "meta" device have no values: reading one is an error, as it
would make a GPU's caller wait.
"""

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
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


def instead_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has `Graphed` record this way, without what only a CPU does."""
    monkeypatch.setattr("planners.graphs.cuda_graph", record)
    monkeypatch.setattr(Guess, "_check_std", lambda self, std: None)


def on_meta(value: Any) -> Any:
    """Gives the same with its tensors on the meta device."""
    return mapped(value, lambda tensor: tensor.to("meta"))


class NothingFromTheCPU(TorchDispatchMode):
    """Raises AssertionError where an operation takes or gives a tensor on the CPU.

    Single numbers may come from there: kernels take them as arguments.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            if isinstance(value, Tensor) and value.dim():
                assert value.device.type != "cpu", f"{func} with a tensor on the CPU"
        return result

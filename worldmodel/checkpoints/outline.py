"""What a module would be, known before it takes any memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from worldmodel.errors import CheckpointError

Module = TypeVar("Module", bound=nn.Module)
_SHOWN = 8  # lines of a list of tensors that do not fit


def outlined(make: Callable[[], Module], tensors: int) -> Module:
    """Gives a module as `make` makes it, with shapes and without memory.

    Args:
        make: Makes the module; it is made on torch's "meta" device.
        tensors: Tensors that there are to be loaded.

    Raises:
        CheckpointError: The module has more parameters than there are tensors.
    """
    own, count = threading.get_ident(), 0

    def see(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        count += parameter is not None and threading.get_ident() == own
        if count > tensors:
            raise CheckpointError(
                f"holds {tensors} tensors, config.json describes a module of more: "
                "take both files from one checkpoint"
            )

    hook = register_module_parameter_registration_hook(see)
    try:
        with torch.device("meta"):
            return make()
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:  # torch's
        if isinstance(error, CheckpointError):
            raise
        why = str(error).splitlines()[0]
        raise CheckpointError(
            f"does not fit config.json, whose sizes no module can have: {why}"
        ) from error
    finally:
        hook.remove()


def check_fits(module: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Checks that a module has exactly these tensors.

    Raises:
        CheckpointError: Names every missing, extra, misshapen and mistyped tensor, or
            the first of many.
    """
    wanted = module.state_dict()
    problems = [
        f"missing: {name} {tuple(wanted[name].shape)}"
        for name in sorted(set(wanted) - set(tensors))
    ]
    problems += [
        f"extra: {name} {tuple(tensors[name].shape)}"
        for name in sorted(set(tensors) - set(wanted))
    ]
    both = sorted(set(wanted) & set(tensors))
    problems += [
        f"misshapen: {name} must be {tuple(wanted[name].shape)}, "
        f"got {tuple(tensors[name].shape)}"
        for name in both
        if wanted[name].shape != tensors[name].shape
    ]
    problems += [
        f"of another type: {name} must be {wanted[name].dtype}, "
        f"got {tensors[name].dtype}"
        for name in both
        if wanted[name].dtype != tensors[name].dtype
    ]
    if len(problems) > _SHOWN:
        problems[_SHOWN:] = [f"and {len(problems) - _SHOWN} more"]
    if problems:
        listing = "\n  ".join(problems)
        raise CheckpointError(f"the tensors do not fit {name}:\n  {listing}")


def not_finite(module: nn.Module) -> list[str]:
    """Gives "NaN" or "infinity" and the names of the tensors that hold it; [] if none.

    A buffer may hold infinity: a standard deviation of what never changes does.
    """
    named = module.state_dict()
    parameters = {name for name, _ in module.named_parameters()}
    floats = {name: t for name, t in named.items() if t.is_floating_point()}
    nans = [name for name, tensor in floats.items() if tensor.isnan().any()]
    if nans:
        return ["NaN", *nans[:_SHOWN]]
    infinite = [n for n, t in floats.items() if n in parameters and t.isinf().any()]
    return ["infinity", *infinite[:_SHOWN]] if infinite else []

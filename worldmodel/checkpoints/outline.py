"""What a module would be, known before it takes any memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from worldmodel.errors import CheckpointError, WorldModelError

Module = TypeVar("Module", bound=nn.Module)
MOST_TENSORS = 20_000  # that are trained together
MOST_PARAMETERS = 1_000_000_000
_SHOWN = 8  # tensors that a message lists; the others are counted


class TooLargeError(WorldModelError):
    """A module would be larger than it may be."""


def outlined(make: Callable[[], Module], most: int) -> Module:
    """Gives a module as `make` makes it, with shapes and without memory.

    Args:
        make: Makes the module; it is made on torch's "meta" device.
        most: Parameter tensors that it may have.

    Raises:
        TooLargeError: The module has more, or tensors of sizes that none can have.
    """
    own, count = threading.get_ident(), 0

    def see(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        count += parameter is not None and threading.get_ident() == own
        if count > most:
            raise TooLargeError(f"a module of more than {most} tensors")

    hook = register_module_parameter_registration_hook(see)
    try:
        with torch.device("meta"):
            return make()
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:  # torch's
        if isinstance(error, TooLargeError):
            raise
        why = str(error).splitlines()[0]
        raise TooLargeError(f"a module of sizes that none can have: {why}") from error
    finally:
        hook.remove()


def require_trainable(make: Callable[[], nn.Module]) -> None:
    """Checks that a module, which nobody has made yet, is not absurdly large.

    Raises:
        TooLargeError: It would have more tensors or parameters than `MOST_TENSORS` and
            `MOST_PARAMETERS`.
    """
    advice = "; take smaller sizes, or a smaller depth"
    try:
        count = sum(p.numel() for p in outlined(make, MOST_TENSORS).parameters())
    except TooLargeError as error:
        raise TooLargeError(f"the options describe {error}{advice}") from error
    if count > MOST_PARAMETERS:
        raise TooLargeError(
            f"the options describe a module of {count:,} parameters, at most "
            f"{MOST_PARAMETERS:,} are trained{advice}"
        )


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
        raise CheckpointError(f"the tensors do not fit {name}: {'; '.join(problems)}")


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

"""Settings that check themselves, when a planner is made: types and bounds."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from planners.contract import Std

MOST_SAMPLES = 1_000_000  # candidates of an iteration
MOST_ITERATIONS = 100_000
MOST_HORIZON = 1_000  # steps of a plan

_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "None",
}


def require_types(settings: Any) -> None:
    """Raises ValueError where a field of a dataclass is not what its annotation says.

    Fields that hold anything but numbers, texts, switches or None are left alone.
    """
    hints = typing.get_type_hints(type(settings))
    for field in fields(settings):
        hint, value = hints[field.name], getattr(settings, field.name)
        options = _options(hint)
        if options and not any(_fits(value, option) for option in options):
            wanted = " or ".join(_name(option) for option in options)
            raise ValueError(f"{field.name} must be {wanted}, got {value!r}")


def require_in(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError unless low <= value <= high."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be in [{low}, {high}], got {value}")


def require_samples(name: str, samples: int, low: int) -> None:
    """Raises ValueError unless an iteration can have so many candidates."""
    require_in(name, samples, low, MOST_SAMPLES)


def require_iterations(iterations: int) -> None:
    """Raises ValueError unless a search can have so many iterations."""
    require_in("iterations", iterations, 1, MOST_ITERATIONS)


def require_at_least(name: str, value: float, low: float) -> None:
    """Raises ValueError unless low <= value."""
    if not value >= low:
        raise ValueError(f"{name} must be at least {low}, got {value}")


def require_positive(name: str, value: float) -> None:
    """Raises ValueError unless 0 < value."""
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


def require_std(name: str, value: Std) -> None:
    """Raises ValueError unless each standard deviation is positive and finite."""
    several = isinstance(value, Sequence)
    for one in value if several else [value]:
        require_positive(name, one)
        if one == math.inf:
            raise ValueError(f"{name} must be finite, got {one}")
    if several and not len(value):
        raise ValueError(f"{name} must be a number or one for each action, got {value}")


def require_planner(name: str, planner: object) -> None:
    """Raises ValueError unless something plans."""
    wanted = ("plan", "room", "kept")
    if isinstance(planner, type) or not all(hasattr(planner, one) for one in wanted):
        raise ValueError(
            f"{name} must be a planner such as CEM(samples=64), got {planner!r}"
        )


def require_elites(elites: int, samples: int) -> None:
    """Raises ValueError unless a normal can be fitted to so many of the samples."""
    if not 2 <= elites <= samples:
        raise ValueError(f"elites must be in [2, samples={samples}], got {elites}")


def require_kept(kept: int, elites: int, samples: int) -> None:
    """Raises ValueError unless so many elites can stay beside the next candidates."""
    if not 0 <= kept <= min(elites, samples - 1):
        raise ValueError(
            f"kept must be in [0, elites={elites}] and below samples={samples}, got "
            f"{kept}"
        )


def require_budget(budget_ms: float | None) -> None:
    """Raises ValueError unless the budget is None or positive."""
    if budget_ms is not None:
        require_positive("budget_ms", budget_ms)


def require_share(name: str, value: float) -> None:
    """Raises ValueError unless 0 <= value <= 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def require_fraction(name: str, value: float) -> None:
    """Raises ValueError unless 0 <= value < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value}")


def require_finite_at_least(name: str, value: float, low: float) -> None:
    """Raises ValueError unless low <= value < infinity."""
    if not low <= value < math.inf:
        raise ValueError(f"{name} must be finite and at least {low}, got {value}")


def _options(hint: Any) -> tuple[Any, ...]:
    """The plain types that an annotation names; empty where it names any others."""
    options = (hint,)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = typing.get_args(hint)
    known = all(o in _NAMES or _is_list(o) for o in options)
    return options if known else ()


def _is_list(option: Any) -> bool:
    """Whether it is `Sequence[float]`."""
    return typing.get_origin(option) is Sequence and typing.get_args(option) == (float,)


def _name(option: Any) -> str:
    return "a list of numbers" if _is_list(option) else _NAMES[option]


def _fits(value: object, option: Any) -> bool:
    if _is_list(option):
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and all(_fits(one, float) for one in value)
        )
    if option is int or option is float:
        kind = Integral if option is int else Real
        return isinstance(value, kind) and not isinstance(value, bool)
    return isinstance(value, option)

"""Whether the actions of a model or dataset are those of an env."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from worldmodel.action_spec import ActionSpec
from worldmodel.errors import SpecMismatchError
from worldmodel.evaluation.adapters.adapter import Adapter

UNKNOWN = "unknown"
_OFF = 0.01  # of a range or a rate, what may be a rounding


def env_spec(adapter: Adapter) -> ActionSpec:
    """Gives what an env says of its actions; what it does not say is "unknown".

    Raises:
        WorldModelError: Its actions are no vector of numbers.
    """
    if adapter.declared is not None:
        return adapter.declared
    low, high = _bounds(adapter)
    is_bounded = np.isfinite(low) & np.isfinite(high)
    scales = np.where(is_bounded, (high - low) / 2, 1.0)
    offsets = np.where(is_bounded, (high + low) / 2, 0.0)
    size = len(low)
    unknown = (UNKNOWN,) * size
    return ActionSpec(
        names=adapter.names or tuple(f"action_{i}" for i in range(size)),
        units=adapter.units or unknown,
        scales=tuple(scales.tolist()),
        frames=unknown,
        rate_hz=rate_of(adapter) or 1.0,
        offsets=tuple(offsets.tolist()),
        absolute=bool(adapter.absolute),
    )


def rate_of(adapter: Adapter) -> float | None:
    """Gives the control steps per second of an env [Hz]; None where it is not known."""
    rate = adapter.rate_hz or adapter.env.metadata.get("render_fps")
    return float(rate) if rate else None


def require_fits(whose: str, spec: ActionSpec, adapter: Adapter, env_id: str) -> None:
    """Checks that actions can be taken in an env.

    Datasets of others tell neither units nor what an env allows, so what is known on
    both sides is compared: size, order of names, units, range, rate, absolute or not.

    Args:
        whose: "model" or "dataset", for the error.
        spec: What its actions mean.
        adapter: Of the env.
        env_id: Its id, for the error.

    Raises:
        SpecMismatchError: The env contradicts; the message shows both.
    """
    wrong = _contradictions(spec, adapter)
    if wrong:
        raise SpecMismatchError(
            f"the {whose} has other actions than env={env_id}: {'; '.join(wrong)}; "
            f"{whose}: {spec.to_json()}, env: {env_spec(adapter).to_json()}"
        )


def _contradictions(spec: ActionSpec, adapter: Adapter) -> list[str]:
    low, high = _bounds(adapter)
    if adapter.declared is not None:
        one = replace(spec, block=adapter.declared.block)
        return [] if one == adapter.declared else ["its env declares others"]
    if spec.size != len(low):
        return [f"{spec.size} dimensions, the env takes {len(low)}"]
    wrong = []
    names, units, rate = adapter.names, adapter.units, rate_of(adapter)
    if names and set(names) == set(spec.names) and names != spec.names:
        wrong.append(f"order {list(spec.names)}, the env's is {list(names)}")
    for name, ours, theirs in zip(spec.names, spec.units, units, strict=False):
        if UNKNOWN not in (ours, theirs) and ours != theirs:
            wrong.append(f"{name} in {ours}, the env's is in {theirs}")
    if rate is not None and abs(spec.rate_hz / rate - 1) > _OFF:
        wrong.append(f"{spec.rate_hz:g} Hz, the env has {rate:g} Hz")
    if adapter.absolute is not None and adapter.absolute != spec.absolute:
        kind = {True: "absolute", False: "relative"}
        wrong.append(
            f"{kind[spec.absolute]} actions, the env's are {kind[adapter.absolute]}"
        )
    ends = spec.in_units(np.array([[-1.0], [1.0]]) * np.ones(spec.size))  # (2, A)
    with np.errstate(invalid="ignore"):  # of an env without bounds
        room = np.nan_to_num(_OFF * (high - low), nan=0.0, posinf=0.0)
    outside = np.flatnonzero((ends[0] < low - room) | (ends[1] > high + room))
    for i in outside:
        wrong.append(
            f"{spec.names[i]} in [{ends[0, i]:g}, {ends[1, i]:g}], the env takes "
            f"[{low[i]:g}, {high[i]:g}]"
        )
    return wrong


def _bounds(adapter: Adapter) -> tuple[np.ndarray, np.ndarray]:
    space = adapter.actions
    return space.low.astype(np.float64), space.high.astype(np.float64)

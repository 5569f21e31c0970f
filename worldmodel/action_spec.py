"""What the numbers of an action mean: the description that travels with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldmodel.errors import SpecMismatchError, WorldModelError
from worldmodel.files.json_file import short

FIELDS = ("names", "units", "scales", "frames", "rate_hz", "block")
OPTIONAL = ("offsets", "absolute")  # in JSON only where they are not the default


@dataclass(frozen=True)
class ActionSpec:
    """Meaning of an action in [-1, 1]^n, one entry per dimension.

    Attributes:
        names: What the dimensions are, e.g. ("dx", "dy").
        units: Unit of each, e.g. ("m", "m").
        scales: How far an action of 1 is from one of 0, in that unit.
        frames: Frame of reference of each, e.g. ("world", "gripper").
        rate_hz: Control steps per second [Hz].
        block: Control steps that one model step covers.
        offsets: What an action of 0 stands for, in that unit; () for zeros.
        absolute: Whether an action says where to be. Doing nothing is then to hold the
            present state; else it is the action of zeros.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    scales: tuple[float, ...]
    frames: tuple[str, ...]
    rate_hz: float
    block: int = 1
    offsets: tuple[float, ...] = ()
    absolute: bool = False

    def __post_init__(self) -> None:
        """Checks that the entries agree with each other."""
        if not self.names:
            raise WorldModelError("names must not be empty")
        if not self.offsets:  # one entry each, so that specs that mean the same are so
            object.__setattr__(self, "offsets", (0.0,) * len(self.names))
        if len(set(self.names)) != len(self.names):
            raise WorldModelError(f"names must differ, got {self.names}")
        for field in ("units", "scales", "frames", "offsets"):
            count = len(getattr(self, field))
            if count != len(self.names):
                raise WorldModelError(
                    f"{field} must have one entry for each of the "
                    f"{len(self.names)} names, got {count}"
                )
        if not all(0 < scale < float("inf") for scale in self.scales):
            raise WorldModelError(
                f"scales must be positive and finite, got {self.scales}"
            )
        if not all(abs(offset) < float("inf") for offset in self.offsets):
            raise WorldModelError(f"offsets must be finite, got {self.offsets}")
        if not 0 < self.rate_hz < float("inf"):
            raise WorldModelError(
                f"rate_hz must be positive and finite, got {self.rate_hz}"
            )
        if self.block < 1:
            raise WorldModelError(f"block must be at least 1, got {self.block}")

    @property
    def size(self) -> int:
        """Number of action dimensions of a control step."""
        return len(self.names)

    @property
    def step_size(self) -> int:
        """Number of action dimensions A of a model step: `block` control steps."""
        return self.size * self.block

    def normalised(self, values: np.ndarray) -> np.ndarray:
        """Gives actions of values (..., A) in their units, float64."""
        return (values.astype(np.float64) - self.offsets) / np.array(self.scales)

    def in_units(self, actions: np.ndarray) -> np.ndarray:
        """Gives what actions (..., A) stand for, in their units, float64."""
        return actions.astype(np.float64) * self.scales + np.array(self.offsets)

    def to_json(self) -> dict[str, Any]:
        """Gives the spec as plain JSON values; `OPTIONAL` fields where they differ."""
        values: dict[str, Any] = {
            "names": list(self.names),
            "units": list(self.units),
            "scales": list(self.scales),
            "frames": list(self.frames),
            "rate_hz": self.rate_hz,
            "block": self.block,
        }
        if any(self.offsets):
            values["offsets"] = list(self.offsets)
        if self.absolute:
            values["absolute"] = True
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ActionSpec:
        """Gives the spec from what `to_json` gave.

        Raises:
            WorldModelError: A field is missing, unknown or of the wrong type.
        """
        missing = [name for name in FIELDS if name not in values]
        unknown = sorted(set(values) - {*FIELDS, *OPTIONAL})
        if missing or unknown:
            raise WorldModelError(
                f"an action spec has the fields {', '.join(FIELDS)}, and may have "
                f"{' and '.join(OPTIONAL)}; "
                f"missing: {missing or 'none'}, unknown: {unknown or 'none'}"
            )
        return cls(
            names=_texts(values, "names"),
            units=_texts(values, "units"),
            scales=_numbers(values, "scales"),
            frames=_texts(values, "frames"),
            rate_hz=_number(values, "rate_hz", values["rate_hz"]),
            block=_whole(values, "block"),
            offsets=_numbers(values, "offsets") if "offsets" in values else (),
            absolute=_switch(values, "absolute") if "absolute" in values else False,
        )


def require_same(model_spec: ActionSpec, env_spec: ActionSpec) -> None:
    """Checks that a model's actions mean what the env's (or dataset's) mean.

    Raises:
        SpecMismatchError: They differ; the message shows both.
    """
    if model_spec == env_spec:
        return
    ours, theirs = model_spec.to_json(), env_spec.to_json()
    lines = [
        f"  {field}: model {_shown(model_spec, field)}, env {_shown(env_spec, field)}"
        for field in (*FIELDS, *OPTIONAL)
        if _shown(model_spec, field) != _shown(env_spec, field)
    ]
    raise SpecMismatchError(
        "the model was trained with other actions than the env has:\n"
        + "\n".join(lines)
        + f"\n  model: {ours}\n  env:   {theirs}"
    )


def _shown(spec: ActionSpec, field: str) -> object:
    value = getattr(spec, field)
    return list(value) if isinstance(value, tuple) else value


def _list(values: Mapping[str, Any], field: str) -> list[Any]:
    value = values[field]
    if not isinstance(value, list | tuple):
        raise WorldModelError(f"{field} must be a list, got {value!r}")
    return list(value)


def _texts(values: Mapping[str, Any], field: str) -> tuple[str, ...]:
    texts = _list(values, field)
    for text in texts:
        if not isinstance(text, str):
            raise WorldModelError(f"{field} must hold texts, got {text!r}")
    return tuple(texts)


def _number(values: Mapping[str, Any], field: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Larger whole numbers are no floats.
    if isinstance(value, int | float) and is_number and abs(value) < 1e308:
        return float(value)
    shown = short(values[field])
    raise WorldModelError(f"{field} must be finite numbers, got {shown}")


def _numbers(values: Mapping[str, Any], field: str) -> tuple[float, ...]:
    return tuple(_number(values, field, value) for value in _list(values, field))


def _switch(values: Mapping[str, Any], field: str) -> bool:
    if not isinstance(values[field], bool):
        raise WorldModelError(f"{field} must be true or false, got {values[field]!r}")
    return values[field]


def _whole(values: Mapping[str, Any], field: str) -> int:
    value = values[field]
    if isinstance(value, bool) or not isinstance(value, int):
        raise WorldModelError(f"{field} must be a whole number, got {value!r}")
    return value

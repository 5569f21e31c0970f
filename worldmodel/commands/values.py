"""Values that no option takes, whatever it is."""

from __future__ import annotations

import math

from worldmodel.errors import OptionError
from worldmodel.files.json_file import short

LARGEST = 2**63 - 1
MAY_BE_INFINITE = ("temperature",)  # of MPPI: then every candidate counts alike


def check_value(name: str, value: object) -> None:
    """Refuses what no option can be: numbers without end, objects by their class."""
    if isinstance(value, dict):
        if not value:
            raise OptionError(
                f"{name} must name what shall differ, e.g. {name}.key=value, got {{}}"
            )
        for key, inner in value.items():
            if str(key).startswith("_"):
                raise OptionError(f"{name}.{key} is no option; choose {name} by name")
            check_value(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            check_value(name, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value) or name.rpartition(".")[2] not in MAY_BE_INFINITE:
            raise OptionError(f"{name} must be a finite number, got {value}")
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise OptionError(
            f"{name} must be in [{-LARGEST}, {LARGEST}], got {short(value)}"
        )

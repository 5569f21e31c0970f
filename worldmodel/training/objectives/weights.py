"""What every objective asks of the weights of its loss terms."""

from __future__ import annotations

import math
from collections.abc import Mapping


def require_weights(weights: Mapping[str, float]) -> None:
    """Raises ValueError unless every weight is finite and at least 0.

    Args:
        weights: by the name of the term.
    """
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(
                f"weights.{name} must be finite and at least 0, got {weight}"
            )

"""Learned goal distances between latents."""

from worldmodel.distances.felt import FeltDistance
from worldmodel.distances.temporal import TemporalDistance, TemporalDistanceSpec

__all__ = ["FeltDistance", "TemporalDistance", "TemporalDistanceSpec"]

"""Learned goal distances between latents."""

from worldmodel.distances.temporal import TemporalDistance, TemporalDistanceSpec

__all__ = ["TemporalDistance", "TemporalDistanceSpec"]

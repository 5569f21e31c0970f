"""Learned goal distances between latents."""

from worldmodel.distances.learned import LearnedDistances, LearnedSpec
from worldmodel.distances.read import ReadDistance
from worldmodel.distances.temporal import TemporalDistance, TemporalDistanceSpec

__all__ = [
    "LearnedDistances",
    "LearnedSpec",
    "ReadDistance",
    "TemporalDistance",
    "TemporalDistanceSpec",
]

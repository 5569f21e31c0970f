"""Learned goal distances between latents."""

from worldmodel.distances.learned import LearnedDistances, LearnedSpec
from worldmodel.distances.look import Look, LookSpec
from worldmodel.distances.read import ReadDistance
from worldmodel.distances.temporal import TemporalDistance, TemporalDistanceSpec

__all__ = [
    "LearnedDistances",
    "LearnedSpec",
    "Look",
    "LookSpec",
    "ReadDistance",
    "TemporalDistance",
    "TemporalDistanceSpec",
]

"""V-JEPA 2-AC (Assran et al. 2025): what it plans with, and as a world model."""

from worldmodel.vjepa2_ac.planning import ACTION_SPEC, VJEPA2AC, SearchSpace

__all__ = ["ACTION_SPEC", "VJEPA2AC", "SearchSpace"]

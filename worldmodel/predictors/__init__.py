"""The action-conditioned latent predictor."""

from worldmodel.predictors.action_predictor import (
    ActionPredictor,
    ActionPredictorSpec,
    Cache,
)

__all__ = ["ActionPredictor", "ActionPredictorSpec", "Cache"]

"""The action-conditioned latent predictor, and how far off it usually is."""

from worldmodel.predictors.action_predictor import (
    ActionPredictor,
    ActionPredictorSpec,
    Cache,
)
from worldmodel.predictors.error_covariance import ErrorCovariance

__all__ = ["ActionPredictor", "ActionPredictorSpec", "Cache", "ErrorCovariance"]
